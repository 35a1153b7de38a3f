"""Sums of products over named axes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from string import ascii_letters
from typing import TYPE_CHECKING

from specc.catalogue.arguments import String
from specc.catalogue.axes import apart, equal, shape
from specc.catalogue.entry import Case, Misfit, Wrong
from specc.catalogue.op import EVERYTHING, Op, Reach, Rule, TensorType
from specc.sizes.dim import Dim, Size, product
from specc.text.record import Record

if TYPE_CHECKING:
    from specc.catalogue.lowering import OnnxGraph, OnnxValue, TorchContext, TorchValue
    from specc.code.nodes import Expression

DOTS = "..."


class Terms(Record):
    """A pattern with a letter for every axis, those behind dots too."""

    taken: tuple[str, ...]
    made: str

    def batched(self, *x: TensorType) -> str:
        """As einsum of PyTorch and of ONNX takes it: with a letter for the batch where there is one."""
        used = {*self.made, *"".join(self.taken)}
        batch = next(each for each in "b" + ascii_letters if each not in used)
        taken = ",".join(batch * kind.batched + term for kind, term in zip(x, self.taken, strict=True))
        return f"{taken}->{batch * any(kind.batched for kind in x)}{self.made}"


class Einsum(Op):
    """The sum of products that a pattern spells: a letter for each axis, summed where the result does not name it.

    `einsum("qc,kc->qk", x, y)` is the product of each row of x with each row of y. The batch is not named: it is in
    front of every tensor that has one, and of the result; parameters, tables and other tensors without a batch serve
    each sample alike. Blanks mean nothing; `...` stands for any axes, the same in each tensor that has it.
    """

    name = "einsum"
    inputs = (1, None)
    tensors_last = True
    mixes = True
    batchless = True
    layout = ""
    cases = (
        Case('einsum("qc,kc->qk", x, y)', "[Q, 8]; [K, 8] -> [Q, K]", macs="8*K*Q"),
        Case('einsum("h q c, h k c -> h q k", x, y)', "[2, T, 8]; [2, T, 8] -> [2, T, T]", macs="16*T**2"),
        Case('einsum("chw,ck->khw", input, w)', "[3, H, W] -> [5, H, W]", params=15, macs="15*H*W",
             given="parameter w: [3, 5], init=normal"),
        Case('einsum("hqc,qkc->hqk", input, table)', "[2, 4, 8] -> [2, 4, 6]", params=192, macs=384,
             given="parameter table: [4, 6, 8], init=normal"),
        Case('einsum("ij->ji", input)', "[4, T] -> [T, 4]", macs=0),
        Case('einsum("ij->", input)', "[4, T] -> []", macs=0),
        Case('einsum("ii->i", input)', "[4, 4] -> [4]", macs=0),
        Case('einsum("i,j->ij", x, y)', "[M]; [K] -> [M, K]", macs=0),
        Case('einsum("i,i->", x, y)', "[6]; [6] -> []", macs=6),
        Case('einsum("...c,cd->...d", input, w)', "[2, 3, T, 4] -> [2, 3, T, 6]", params=24, macs="144*T",
             given="parameter w: [4, 6], init=normal"),
        Case('einsum("nc,cd,dm->nm", x, y, z)', "[5, 3]; [3, 4]; [4, 2] -> [5, 2]", macs=100),
        Case('input -> einsum("c,d->cd", input)', "[4] -> [4, 4]"),
        Wrong('einsum("qc,kc->qk", x, y)', "[2, 3];[2, 4]", "shape-mismatch"),
        Wrong('einsum("qc->qk", input)', "[2, 3]", "bad-pattern"),
        Wrong('einsum("qc->qq", input)', "[2, 3]", "bad-pattern"),
        Wrong('einsum("qc", input)', "[2, 3]", "bad-pattern"),
        Wrong('einsum("q1->q", input)', "[2, 3]", "bad-pattern"),
        Wrong('einsum("qc,kc->qk", input)', "[2, 3]", "bad-pattern"),
        Wrong('einsum("qck->q", input)', "[2, 3]", "bad-pattern"),
        Wrong('einsum("qc->q...", input)', "[2, 3]", "bad-pattern"),
        Wrong('einsum("qc->q", input > 0)', "[2, 3]", "wrong-dtype"),
    )  # fmt: skip

    pattern: String
    """The axes of each tensor, separated by commas, then `->` and the axes of the result."""

    def terms(self, *x: TensorType) -> Terms:
        """The pattern for tensors of these ranks."""
        before, arrow, made = self.pattern.replace(" ", "").partition("->")
        taken = before.split(",")
        if not arrow or not all(re.fullmatch(r"[A-Za-z]*(\.\.\.[A-Za-z]*)?", each) for each in (*taken, made)):
            raise _bad(f'"{self.pattern}" is no pattern of einsum', "a letter for each axis, such as qc,kc->qk")
        if len(taken) != len(x):
            raise _bad(f"the pattern is for {len(taken)} tensors; there are {len(x)}")
        spare = [each for each in ascii_letters if each not in before + made]
        hidden = {len(kind.shape) - len(term) + len(DOTS) for kind, term in zip(x, taken, strict=True) if DOTS in term}
        for at, (kind, term) in enumerate(zip(x, taken, strict=True), 1):
            named = len(term.replace(DOTS, ""))
            if named > kind.rank or (named < kind.rank and DOTS not in term):
                message = f"`{term}` names {named} axes; input {at} has {kind.rank}: {shape(kind.shape)}"
                raise _bad(message, "the batch is not named")
        if len(hidden) > 1:
            raise _bad("`...` stands for as many axes in each tensor that has it")
        letters = "".join(spare[: max(hidden, default=0)])
        found = Terms(tuple(term.replace(DOTS, letters) for term in taken), made.replace(DOTS, letters))
        if DOTS in made and not hidden:
            raise _bad("the result has `...`, and no tensor has")
        for each in found.made:
            if not any(each in term for term in found.taken):
                raise _bad(f"the result has `{each}`, and no tensor has")
            if found.made.count(each) > 1:
                raise _bad(f"the result has `{each}` twice")
        if len({*"".join(found.taken)}) > len(ascii_letters) - 1:
            raise _bad("the pattern has more axes than there are letters")
        return found

    def sizes(self, terms: Terms, *x: TensorType) -> dict[str, Size]:
        """The size of each axis; a known one wins over an unknown one."""
        found: dict[str, Size] = {}
        for kind, term in zip(x, terms.taken, strict=True):
            for letter, size in zip(term, kind.shape, strict=True):
                if isinstance(found.setdefault(letter, size), Dim):
                    found[letter] = size if not isinstance(size, Dim) else found[letter]
        return found

    def rules(self, *x: TensorType, **named: TensorType) -> Iterable[Rule]:
        terms = self.terms(*x)
        first: dict[str, tuple[int, Size]] = {}
        for at, (kind, term) in enumerate(zip(x, terms.taken, strict=True)):
            for letter, size in zip(term, kind.shape, strict=True):
                port, known = first.setdefault(letter, (at, size))
                where = f"{known} in input {port + 1} and {size} in input {at + 1}"
                message = f"axis `{letter}` is {where} ({apart(known, size)})"
                yield from equal(known, size, Misfit("shape-mismatch", message, port=at))

    def gives(self, *x: TensorType, **named: TensorType) -> TensorType:
        terms = self.terms(*x)
        sizes = self.sizes(terms, *x)
        return TensorType(tuple(sizes[each] for each in terms.made), batched=any(each.batched for each in x))

    def macs(self, *x: TensorType, y: TensorType, **named: TensorType) -> Size:
        """The products that are summed, tensor after tensor from the left, as PyTorch multiplies them."""
        terms = self.terms(*x)
        sizes = self.sizes(terms, *x)
        total: Size = 0
        done = terms.taken[0]
        for at, term in enumerate(terms.taken[1:], 1):
            later = {*terms.made, *"".join(terms.taken[at + 1 :])}
            mine = {each for each in done if each in later or each in term}  # what only one has is summed before
            other = {each for each in term if each in later or each in done}
            both = sorted(mine | other)
            if any(each not in later for each in both):
                total = total + product(sizes[each] for each in both)
            done = "".join(each for each in both if each in later)
        return total

    def reach(self, *x: TensorType) -> tuple[Reach, ...] | str | None:
        return EVERYTHING

    def torch(self, t: TorchContext, *x: TorchValue, **named: TorchValue) -> Expression:
        kinds = [each.type for each in x]
        return t.function("torch.einsum", self.terms(*kinds).batched(*kinds), *x)

    def onnx(self, g: OnnxGraph, *x: OnnxValue, **named: OnnxValue) -> OnnxValue:
        kinds = [each.type for each in x]
        return g.node("Einsum", *x, equation=self.terms(*kinds).batched(*kinds))  # type: ignore[no-any-return]


def _bad(message: str, help: str = "") -> Misfit:
    return Misfit("bad-pattern", message, help, argument="pattern")
