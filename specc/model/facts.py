"""What the rules ask of the data; the data floor answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from specc.catalogue.setting import Shape


class Facts(Protocol):
    """What is known of the data; None stands for what its headers do not tell."""

    @property
    def input_shapes(self) -> Mapping[str, Shape]: ...
    @property
    def dtypes(self) -> Mapping[str, str]: ...
    @property
    def target(self) -> str: ...
    @property
    def target_shape(self) -> Shape: ...
    @property
    def classes(self) -> int | None: ...
