"""A model as the source of a standalone PyTorch module that reads as hand-written."""

from __future__ import annotations

from types import ModuleType

from specc.backends.torch_home import CannotPrint
from specc.backends.torch_network import network_module
from specc.model.graph import Model

__all__ = ["CannotPrint", "load", "write"]


def write(model: Model, *, name: str | None = None, header: str = "") -> str:
    """The source of a module that imports torch alone: one class per block, and the network's class `name`.

    The same bytes every run, as `ruff format` leaves them. The keys of the class's state-dict are those of
    `model.weights`, in that order. `header` is the docstring. Raises CannotPrint for what has no PyTorch form.
    """
    return network_module(model, name or model.name, header or f"The network {model.name}.")


def load(source: str, class_name: str) -> type:
    """The class of that name from a generated module, run in a module of its own, which its globals name `__self__`."""
    module = ModuleType("specc_generated")
    module.__dict__["__self__"] = module
    exec(compile(source, f"<{class_name}>", "exec"), module.__dict__)
    found = module.__dict__[class_name]
    assert isinstance(found, type)
    return found
