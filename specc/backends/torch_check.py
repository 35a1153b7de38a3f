"""The check at the beginning of a forward: the sizes of the inputs, in the words of the spec."""

from __future__ import annotations

from collections.abc import Iterator

from specc.code.nodes import (
    Attribute,
    BoolOp,
    Call,
    Compare,
    Expression,
    FString,
    FunctionDef,
    If,
    Index,
    Literal,
    Name,
    Parameter,
    Raise,
    Slice,
    Statement,
    Unary,
    assign,
    call,
    compare,
    formula,
    index,
    value,
)
from specc.model.graph import Model, Port
from specc.sizes.conditions import Condition
from specc.sizes.dim import Dim, Size
from specc.sizes.predicates import All, Any, Not, Predicate
from specc.sizes.predicates import Compare as SizeCompare

LEAST = 4  # more conditions on one symbol than this are not spelled out


def checking(model: Model) -> FunctionDef:
    """`def check(self, image)`: raises ValueError for sizes that the network does not take."""
    body: list[Statement] = []
    known: set[str] = set()
    wanted = _wanted(model)
    for port in model.inputs:
        body += _input(model, port, known, wanted)
    body += _conditions(model, known)
    parameters = (Parameter("self"), *(Parameter(each.name) for each in model.inputs))
    return FunctionDef("check", parameters, tuple(body), docstring="Raise ValueError for sizes that do not fit.")


def _wanted(model: Model) -> set[str]:
    """The symbols that something is asked of."""
    found = {name for each in model.conditions for name in each.symbols}
    seen: set[str] = set()
    for port in model.inputs:
        for size in model.type(port.value).shape:
            if isinstance(size, Dim):
                found |= size.symbols if str(size) in seen or not str(size).isidentifier() else set()
                seen |= size.symbols
    return found


def _input(model: Model, port: Port, known: set[str], wanted: set[str]) -> Iterator[Statement]:
    shape = model.type(port.value).shape
    tensor = Name(port.name)
    text = "[" + ", ".join(map(str, shape)) + "]"
    wrong: list[Expression] = []
    if all(isinstance(each, int) for each in shape):
        wrong.append(compare(_sizes(tensor), "!=", tuple(shape)))
    else:
        wrong.append(compare(call(Attribute(tensor, "dim")), "!=", len(shape) + 1))
        wrong += [
            compare(index(Attribute(tensor, "shape"), axis + 1), "!=", each)
            for axis, each in enumerate(shape)
            if isinstance(each, int)
        ]
    test = wrong[0] if len(wrong) == 1 else BoolOp("or", tuple(wrong))
    got = FString((f"{port.name} must be a batch of {text}; got ", call("list", Attribute(tensor, "shape"))))
    yield If(test, (_refuse(got),))
    yield from _symbols(tensor, shape, known, wanted)


def _sizes(tensor: Expression) -> Expression:
    return Index(Attribute(tensor, "shape"), Slice(Literal(1), None, None))


def _symbols(tensor: Expression, shape: tuple[Size, ...], known: set[str], wanted: set[str]) -> Iterator[Statement]:
    """The symbols of an input; one that has a value already must have the same."""
    fresh: list[tuple[int, str]] = []
    for axis, each in enumerate(shape, 1):
        name = str(each)
        if isinstance(each, Dim) and name.isidentifier() and name in wanted - known:
            known.add(name)
            fresh.append((axis, name))
    yield from _read(tensor, fresh, len(shape))
    for axis, each in enumerate(shape, 1):
        if isinstance(each, Dim) and each.symbols <= known and (axis, str(each)) not in fresh:
            size = index(Attribute(tensor, "shape"), axis)
            got = FString((f"{tensor.name} must have size {each} on axis {axis}; got ", size))  # type: ignore[attr-defined]
            yield If(compare(size, "!=", formula(str(each))), (_refuse(got),))


def _read(tensor: Expression, fresh: list[tuple[int, str]], rank: int) -> Iterator[Statement]:
    """`H, W = image.shape[2:]` where the symbols are the last sizes, else one by one."""
    sizes = Attribute(tensor, "shape")
    axes = [axis for axis, _ in fresh]
    if len(fresh) > 1 and axes == [*range(axes[0], rank + 1)]:
        yield assign([name for _, name in fresh], Index(sizes, Slice(Literal(axes[0]), None, None)))
        return
    for axis, name in fresh:
        yield assign(name, index(sizes, axis))


def _conditions(model: Model, known: set[str]) -> Iterator[Statement]:
    for each in model.conditions:
        if not set(each.symbols) <= known:
            continue
        wrong = _wrong(each)
        if wrong is not None:
            yield If(wrong, (_refuse(_told(each)),))


def _told(condition: Condition) -> Expression:
    """`H must be a multiple of 8, at least 8; got 100`."""
    parts: list[str | Expression] = [condition.text.replace(" is ", " must be ", 1) + "; got "]
    for at, name in enumerate(condition.symbols):
        parts += [", "] if at else []
        parts += [f"{name} = ", Name(name)] if len(condition.symbols) > 1 else [Name(name)]
    return FString(tuple(parts))


def _wrong(condition: Condition) -> Expression | None:
    """The test that a size fails: by residues and bounds where they say all, by the predicate otherwise."""
    if len(condition.symbols) == 1 and condition.period is not None and not condition.also and not condition.excluded:
        found = _simple(condition)
        if found is not None:
            return found
    return negated(condition.predicate)


def _simple(condition: Condition) -> Expression | None:
    size = Name(condition.symbols[0])
    residues = condition.residues or ()
    tests: list[Expression] = []
    if condition.period is not None and condition.period > 1:
        rest = formula(f"{size.name} % {condition.period}")
        if len(residues) == 1:
            tests.append(compare(rest, "!=", residues[0]))
        elif 1 < len(residues) <= LEAST:
            tests.append(compare(rest, "not in", tuple(residues)))
        else:
            return None
    if condition.at_least is not None and condition.at_least > 1:
        tests.append(compare(size, "<", condition.at_least))
    if condition.at_most is not None:
        tests.append(compare(size, ">", condition.at_most))
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else BoolOp("or", tuple(tests))


def negated(predicate: Predicate) -> Expression:
    from specc.sizes.conditions import negate

    return written(negate(predicate))


def written(predicate: Predicate) -> Expression:
    """A predicate about sizes in Python."""
    match predicate:
        case SizeCompare(left, op, right):
            return Compare(_formula(left), ((op, _formula(right)),))
        case All(parts):
            return _joined("and", parts, True)
        case Any(parts):
            return _joined("or", parts, False)
        case Not(part):
            return Unary("not", written(part))
    raise TypeError(predicate)


def _joined(operator: str, parts: tuple[Predicate, ...], empty: bool) -> Expression:
    if len(parts) < 2:
        return written(parts[0]) if parts else Literal(empty)
    return BoolOp(operator, tuple(map(written, parts)))


def _formula(size: Size) -> Expression:
    return value(size) if isinstance(size, int) else formula(str(size))


def _refuse(message: Expression) -> Raise:
    return Raise(Call(Name("ValueError"), (message,)))
