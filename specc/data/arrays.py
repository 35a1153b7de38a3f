"""Arrays that the user saved with numpy: a .npz file with fields for inputs and target, or two .npy files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.data.npy import Header, headers, labels
from specc.data.sources import DataFacts, DataProblem, Dataset, Shape, Target
from specc.data.windows import Cutting, Plan, WindowDataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INPUT_KINDS = "fiub"


@dataclass(frozen=True, slots=True)
class Arrays:
    """Samples along axis 0 of every array.

    `target` names the field of a .npz file, or, for a .npy file, the .npy file of the targets (beside it). `inputs`
    maps a network's input to a field; without it every other field but one of words (a patient, to group by) is an
    input under its own name, and the array of a .npy file is called "x".

    Whole numbers as the target are classes from 0, words are classes by name, reals are reals; a whole number per
    position is "classes", reals with two axes or more are "image". With `windows`, every sample is a recording that is
    cut into several.

    Example:
        Arrays(Path("scans.npz"), target="label", inputs={"scan": "volumes"})
    """

    path: Path
    target: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    windows: int | None = None
    stride: int | None = None
    axis: int | None = None

    def describe(self) -> DataFacts:
        facts = self._facts()
        plan = self._plan(facts)
        return facts if plan is None else plan.facts(facts)

    def _plan(self, facts: DataFacts) -> Plan | None:
        """How the samples of the file are cut, where they are."""
        if self.windows is None:
            return None
        return Cutting(self.windows, self.stride or self.windows, self.axis).of(facts, self.path)

    def _facts(self) -> DataFacts:
        """Those of the samples as they are in the file."""
        found, sources = self._headers()
        target = found[self.target]
        count = self._count(found, sources)
        shapes: dict[str, Shape] = {name: found[each].shape[1:] for name, each in sources.items()}
        kind, names = self._target(target)
        return DataFacts(
            input_shapes=shapes,
            dtypes={
                name: found[each].dtype if found[each].kind in "iub" else "float32" for name, each in sources.items()
            },
            target=kind,
            target_shape=(1,) if kind == "real" and len(target.shape) == 1 else target.shape[1:],
            classes=len(names) if names is not None else None,
            class_names=tuple(names or ()),
            count=count,
        )

    def load(self) -> Dataset:
        import numpy as np

        from specc.data.memory import MemoryDataset, finite

        facts, (_, sources) = self._facts(), self._headers()
        read = self._read([*sources.values(), self.target])
        inputs = {name: finite(f"input {name}", read[each], self.path) for name, each in sources.items()}
        target = read[self.target]
        if facts.target == "class" and target.dtype.kind == "U":
            target = np.searchsorted(np.array(facts.class_names), target).astype(np.int64)
        elif facts.target == "class":
            target = target.astype(np.int64)
        elif facts.target != "classes":
            target = finite("the target", target, self.path).astype(np.float32, copy=False)
        target = target.reshape(len(target), *target.shape[1:] or facts.target_shape)
        found = MemoryDataset(facts, inputs, target)
        plan = self._plan(facts)
        return found if plan is None else WindowDataset(plan.facts(facts), found, plan)

    def sample_names(self) -> list[str]:
        """The numbers of the samples, and, for windows, where they begin."""
        facts = self._facts()
        plan = self._plan(facts)
        return [str(at) for at in range(facts.count)] if plan is None else plan.names(facts.count)

    def column(self, name: str) -> list[object]:
        """A field with one value a sample of the file, for grouping them (`split group=patient`)."""
        self.check_column(name)
        values, plan = self._read([name])[name], self._plan(self._facts())
        found: list[object] = (values if plan is None else plan.all(values, None)).tolist()
        return found

    def check_column(self, name: str) -> None:
        """Raise DataProblem where there is no such field, or more in it than a value a sample."""
        found = headers(self.path) if self.path.suffix.lower() != ".npy" else {}
        if name not in found:
            raise DataProblem(f"there is no field {name!r}", f"the fields are {', '.join(found) or 'none'}", self.path)
        if len(found[name].shape) != 1 or found[name].kind not in "iubU":
            raise DataProblem(f"field {name!r} has not one whole number or word a sample", "", self.path)
        if self.target in found and found[name].shape != found[self.target].shape[:1]:
            message = f"field {name!r} has {found[name].shape[0]} values, the target {found[self.target].shape[0]}"
            raise DataProblem(message, "give one a sample", self.path)

    def _headers(self) -> tuple[dict[str, Header], dict[str, str]]:
        """Headers by field, and the field of each input."""
        if self.path.suffix.lower() == ".npy":
            found = {"": headers(self.path)[""], self.target: headers(self._beside())[""]}
            name = next(iter(self.inputs), "x")
            return self._usable(found, {name: ""})
        found = headers(self.path)
        others = {name: each for name, each in found.items() if name != self.target}
        words = [name for name, each in others.items() if each.kind == "U" and len(each.shape) == 1]
        sources = dict(self.inputs) or {name: name for name in others if name not in words or len(words) == len(others)}
        return self._usable(found, sources)

    def _usable(self, found: dict[str, Header], sources: dict[str, str]) -> tuple[dict[str, Header], dict[str, str]]:
        for each in (self.target, *sources.values()):
            if each not in found:
                raise DataProblem(
                    f"there is no field {each!r}", f"the fields are {', '.join(found) or 'none'}", self.path
                )
        if not sources:
            raise DataProblem("there is no field besides the target", "save the inputs as well", self.path)
        for name, each in sources.items():
            if found[each].kind not in _INPUT_KINDS:
                raise DataProblem(
                    f"input {name} is of type {found[each].dtype}, not numbers", "save it as float32", self.path
                )
        return found, sources

    def _count(self, found: dict[str, Header], sources: dict[str, str]) -> int:
        counts: dict[str, int] = {}
        for each in (*sources.values(), self.target):
            if not found[each].shape:
                raise DataProblem(
                    f"{each or 'the array'} is a single number", "the samples lie along axis 0", self.path
                )
            counts[each or self.path.name] = found[each].shape[0]
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise DataProblem(
                f"the numbers of samples differ: {said}", "every array needs one entry a sample", self.path
            )
        count = next(iter(counts.values()))
        if count == 0:
            raise DataProblem("it holds no samples", "", self.path)
        return count

    def _target(self, header: Header) -> tuple[Target, list[str] | None]:
        """What the target is, and the names of its classes as far as headers and a short read tell."""
        if header.kind == "f":
            return ("real" if len(header.shape) <= 2 else "image"), None
        if header.kind not in "iubU" or (header.kind == "U" and len(header.shape) != 1):
            raise DataProblem(
                f"the target is of type {header.dtype}", "save classes as whole numbers, reals as float32", self.path
            )
        if len(header.shape) > 1:
            return "classes", None
        npy = self.path.suffix.lower() == ".npy"
        file = self._beside() if npy else self.path
        found = labels(file, "" if npy else self.target, header)
        if found is None:
            return "class", None
        names, smallest = found
        if smallest < 0:
            raise DataProblem(f"the target has the class {smallest}", "number the classes from 0", file)
        return "class", names

    def _beside(self) -> Path:
        return self.path.parent / self.target

    def _read(self, fields: list[str]) -> dict[str, NDArray[Any]]:
        import numpy as np

        try:
            if self.path.suffix.lower() == ".npy":
                return {
                    "": np.load(self.path, mmap_mode="r", allow_pickle=False),
                    self.target: np.load(self._beside(), allow_pickle=False),
                }
            with np.load(self.path, allow_pickle=False) as archive:
                return {each: archive[each] for each in fields}
        except MemoryError:
            raise DataProblem(
                "it does not fit into memory", "save it as .npy, which is read in parts", self.path
            ) from None
        except Exception as error:  # zipfile, zlib and numpy each raise their own for a damaged file
            raise DataProblem(f"it is damaged: {error}", "copy or save the file again", self.path) from error
