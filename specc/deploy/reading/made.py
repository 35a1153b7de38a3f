"""The steps of the spec that is being made from a file, before they are written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from specc.catalogue.op import Op
from specc.deploy.reading.values import Array


@dataclass(slots=True)
class Step:
    """One layer or operator: `kind` with `arguments`, on tensors by name.

    `named` are tensors that are arguments, `weights` the numbers of its state-dict, `path` the module that it stands in
    or is, as far as the file says, `keys` the names that its weights have there.
    """

    kind: type[Op]
    arguments: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: dict[str, Array] = field(default_factory=dict)
    path: str = ""
    keys: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)
    rest: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A tensor of the network's own, `stored` in that shape."""

    name: str
    shape: tuple[int, ...]
    array: Array
    dtype: str = "float"
