"""Samples from a function of the user's own, which runs only where the command line allows it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.data.sources import DataFacts, DataProblem, Dataset, MissingData, Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_allowed: ContextVar[bool] = ContextVar("python_allowed", default=False)


@contextmanager
def python_allowed(yes: bool = True) -> Iterator[None]:
    """Whether functions of the user may run inside the block."""
    token = _allowed.set(yes)
    try:
        yield
    finally:
        _allowed.reset(token)


@dataclass(frozen=True, slots=True)
class PythonFunction:
    """`module:function`, called without arguments: a dictionary of inputs and the target, the samples along axis 0.

    Whole numbers as the target are classes from 0, with further axes a class per position; reals are real numbers.

    Example:
        PythonFunction("mine:waves", Path("."))   # def waves(): return {"x": x}, y
    """

    function: str
    folder: Path

    def describe(self) -> DataFacts:
        return self.load().facts

    def load(self) -> Dataset:
        import numpy as np

        from specc.data.memory import MemoryDataset, finite

        if not _allowed.get():
            message = f"the data are made by {self.function}, and no code of yours is run unless you allow it"
            raise MissingData(message, "add --allow-python")
        place = Path(self.function)
        try:
            inputs, target = self._call()
            arrays = {str(name): np.asarray(each) for name, each in dict(inputs).items()}
            target = np.asarray(target)
        except DataProblem:
            raise
        except Exception as error:  # whatever the user's code raises
            raise DataProblem(f"it failed: {type(error).__name__}: {error}", "run it by itself", place) from error
        for name, each in {**arrays, "the target": target}.items():
            if each.dtype.kind not in "fiub" or each.ndim == 0 or not len(each) or len(each) != len(target):
                message = f"{name} is {each.dtype} {list(each.shape)} beside a target of {list(target.shape)}"
                raise DataProblem(message, "give arrays of numbers with the samples along axis 0", place)
        if not arrays:
            raise DataProblem("it gives no inputs", 'return {"x": x}, y', place)
        arrays = {name: finite(f"input {name}", each, place) for name, each in arrays.items()}
        kind: Target = "real" if target.ndim <= 2 else "image"
        classes = None
        if target.dtype.kind in "iub":
            kind = "class" if target.ndim == 1 else "classes"
            target = target.astype(np.int64)
            classes = max(int(target.max()) + 1, 2) if kind == "class" else None
            if int(target.min()) < 0:
                raise DataProblem(f"the target has the class {target.min()}", "number the classes from 0", place)
        else:
            target = finite("the target", target, place).reshape(len(target), *(target.shape[1:] or (1,)))
        facts = DataFacts(
            {name: each.shape[1:] for name, each in arrays.items()},
            {name: str(each.dtype) for name, each in arrays.items()},
            kind,
            target.shape[1:],
            classes,
            tuple(map(str, range(classes or 0))),
            len(target),
        )
        return MemoryDataset(facts, arrays, target)

    def _call(self) -> Any:
        module, _, name = self.function.partition(":")
        sys.path.insert(0, str(self.folder))
        try:
            return getattr(import_module(module), name)()
        finally:
            sys.path.remove(str(self.folder))
