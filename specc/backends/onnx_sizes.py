"""Sizes at run time: unknown ones are computed in the graph from the shapes of the network's inputs."""

from __future__ import annotations

from collections.abc import Iterable

from specc.backends.onnx_graph import Builder, Tensor
from specc.catalogue.op import TensorType
from specc.sizes.dim import Dim, Size, bounds, text
from specc.sizes.terms import Atom, Floor, Monomial


class UnknownSize(Exception):
    """A size that the shapes of the inputs do not tell."""


class Sizes:
    """The sizes of one graph; each formula is computed once, as a tensor [1] of int64."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._known: dict[str, Tensor] = {}

    def shape(self, sizes: Iterable[Size], batched: bool) -> Tensor:
        """A 1-D tensor of these sizes, with the batch in front if `batched`."""
        wanted = [*(["batch"] if batched else []), *sizes]
        if all(isinstance(each, int) for each in wanted):
            return self._builder.constant([int(each) for each in wanted if isinstance(each, int)], "int")
        parts: list[Tensor] = []
        run: list[int] = []
        for each in [*wanted, None]:
            if isinstance(each, int):
                run.append(each)
                continue
            if run:
                parts.append(self._builder.constant(run, "int"))
                run = []
            if each is not None:
                parts.append(self._batch() if isinstance(each, str) else self._size(each))
        if len(parts) == 1:
            return parts[0]
        name = f"shape({', '.join(each if isinstance(each, str) else text(each) for each in wanted)})"
        return self._make("Concat", parts, name, len(wanted), axis=0)

    def _batch(self) -> Tensor:
        for each in self._builder.measured:
            if each.type.batched:
                return self._dimension(each, 0, "size(batch)")
        raise UnknownSize("the batch, because no input has one")

    def _size(self, size: Size) -> Tensor:
        if isinstance(size, int):
            return self._builder.constant([int(size)], "int")
        name = f"size({text(size)})"
        if name in self._known:
            return self._known[name]
        terms = [self._term(monomial, factor) for monomial, factor in size.terms.items()]
        if len(terms) == 1:
            self._known[name] = terms[0]
        return self._fold("Add", terms, name)

    def _term(self, monomial: Monomial, factor: int) -> Tensor:
        factors = [self._atom(atom) for atom, power in monomial for _ in range(power)]
        if factor != 1 or not factors:
            factors.append(self._size(factor))
        return self._fold("Mul", factors, f"size({text(_alone(monomial, factor))})")

    def _atom(self, atom: Atom) -> Tensor:
        if isinstance(atom, str):
            return self._symbol(atom)
        name = f"size({atom})"
        if not isinstance(atom, Floor):
            return self._fold("Min" if atom.kind == "min" else "Max", [self._size(each) for each in atom.parts], name)
        if name in self._known:
            return self._known[name]
        top, bottom = self._size(atom.top), self._size(atom.bottom)
        least = bounds(atom.top)[0]
        if least is None or least < 0:  # Div rounds to zero, a size rounds down
            rest = self._make("Mod", [top, bottom], f"{name}/rest")
            top = self._make("Sub", [top, rest], f"{name}/top")
        return self._make("Div", [top, bottom], name)

    def _symbol(self, name: str) -> Tensor:
        """The unknown of that name: an axis of an input, or worked out from one such as `2*H + 1`."""
        known = self._known.get(f"size({name})")
        if known is not None:
            return known
        axes = [(each, axis, size) for each in self._builder.measured for axis, size in enumerate(each.type.shape)]
        for each, axis, size in axes:
            if str(size) == name:
                return self._dimension(each, each.dim(axis), f"size({name})")
        for each, axis, size in axes:
            if isinstance(size, Dim) and set(size.terms) <= {((name, 1),), ()}:
                found = self._dimension(each, each.dim(axis), f"size({text(size)})")
                if rest := size.terms.get((), 0):
                    found = self._make("Sub", [found, self._size(rest)], f"size({name})/top")
                return self._make("Div", [found, self._size(size.terms[((name, 1),)])], f"size({name})")
        raise UnknownSize(f"{name}, because no input has an axis of that size")

    def _dimension(self, tensor: Tensor, dim: int, name: str) -> Tensor:
        return self._make("Shape", [tensor], name, start=dim, end=dim + 1)

    def _fold(self, kind: str, parts: list[Tensor], name: str) -> Tensor:
        found = parts[0]
        for at, each in enumerate(parts[1:], 2):
            found = self._make(kind, [found, each], name if at == len(parts) else f"{name}/{at}")
        return found

    def _make(self, kind: str, inputs: list[Tensor], name: str, length: int = 1, **attributes: int) -> Tensor:
        if name not in self._known:
            type = TensorType((length,), "int", batched=False)
            self._known[name] = self._builder.node(kind, name, tuple(inputs), (type,), **attributes).outputs[0]
        return self._known[name]


def _alone(monomial: Monomial, factor: int) -> Size:
    """One term of a size as a size."""
    return Dim({monomial: factor}) if monomial else factor
