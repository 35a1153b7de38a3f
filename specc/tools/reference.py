"""The reference of ops and settings, made from their declarations: what `specc explain` prints and docs/reference holds."""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from specc.catalogue import registry
from specc.catalogue.arguments import Initial
from specc.catalogue.axes import UNSAID
from specc.catalogue.entry import Case, Entry, Field, Wrong
from specc.catalogue.op import Op, TensorType, WeightedOp
from specc.catalogue.setting import Setting
from specc.tools.formulas import forms, formula

AXES = {
    "c": "channels",
    "*s": "one to three further axes",
    "*d": "two or three further axes",
    "f": "features on the last axis",
    "l": "length",
    "*": "any axes",
}
ROLES = {
    "train": "settings of `train`",
    "export": "settings of `export`",
    "source": "sources of data, for `data`",
    "split": "ways to split data, for `split`",
    "prepare": "steps of `prepare`",
    "augment": "steps of `augment`",
    "loss": "losses, for `loss`",
    "optimizer": "optimizers, for `optimizer`",
    "schedule": "schedules, for `schedule`",
    "regularizer": "regularizers, for `regularize`",
    "clip": "ways to clip, for `clip`",
    "stop": "ways to stop, for `stop`",
    "metric": "metrics, for `metrics`",
    "postprocess": "steps of `postprocess`",
}
FAMILIES: dict[str, Callable[[type[Op]], bool]] = {
    "Signs between tensors": lambda kind: kind.operator not in ("", "[]") and kind.inputs != (0, 0),
    "Windows and pictures": lambda kind: kind.takes.split(";")[0].split()[:2] == ["c", "*s"] and not kind.moves,
    "Products, sequences and attention": lambda kind: kind.macs is not Op.macs,
    "Other layers with weights": lambda kind: issubclass(kind, WeightedOp),
    "Functions of each number": lambda kind: (
        kind.gives is Op.gives and kind.reach is Op.reach and kind.inputs == (1, 1)
    ),
    "Over whole axes": lambda kind: "keep" in kind.fields,
    "Tensors from nothing": lambda kind: kind.inputs == (0, 0),
    "Shapes, places and parts": lambda kind: True,
}
INTRODUCTION = """\
What each layer and operator takes, makes and costs; `specc explain OP` prints the same page. Shapes leave the batch
out. In formulas a size that is not known has an upper-case name, and a number that may be any stands as the name of
its argument. Multiply-adds are counted for one sample.
"""
HEAD = "<!-- made from the declarations by `python -m specc.tools.reference`; do not edit -->\n"


def op_page(name: str) -> str:
    """The reference of one op, as Markdown."""
    kind = registry.op(name)
    assert kind is not None
    parts = [f"# {name}", _about(kind), _usage(name, kind), *_arguments(kind), *_counts(kind)]
    parts += [*_formulas(kind), *_forms(kind), *_examples(kind)]
    return "\n\n".join(part for part in parts if part) + "\n"


def setting_page(name: str, role: str) -> str:
    """The reference of one setting in one role, as Markdown."""
    kind = registry.setting(name, role)
    assert kind is not None
    parts = [f"# {name}", f"One of the {ROLES.get(role, role)}.", _about(kind), _usage(name, kind), *_arguments(kind)]
    if kind.holds:
        parts.append(
            f"It takes {'any number of' if kind.many else 'one of'}: {_names(registry.setting_names(kind.holds))}."
        )
    if kind.default:
        parts.append(f"Where a section does not say it: `{name} {kind.default}`.")
    return "\n\n".join(part for part in parts if part) + "\n"


def roles_of(name: str) -> list[str]:
    """The roles in which a setting of that name exists."""
    return [each.partition(".")[0] for each in registry.names("settings") if each.partition(".")[2] == name]


def roles() -> list[str]:
    """Every role, those with words for them first."""
    known = {each.partition(".")[0] for each in registry.names("settings")}
    return [each for each in ROLES if each in known] + sorted(known - set(ROLES))


# -------------------------------------------------------------------------------------------------------------- parts
def _about(kind: type[Entry]) -> str:
    return inspect.cleandoc(kind.__doc__ or "")


def _usage(name: str, kind: type[Entry]) -> str:
    """How it is called: required arguments bare, the others with their defaults."""
    own = [each for each in kind.fields.values() if each.name not in _common()]
    words = [
        each.name if each.required else f"{each.name}={spelled(each.default)}" for each in own if not each.kind.tensor
    ]
    words += ["…"] if kind.rest else []
    words += ["NAME=…"] if kind.extra else []
    if issubclass(kind, Setting) and kind.role in ("train", "export"):
        held = [kind.holds.upper()] if kind.holds and not words else []
        return f"`{' '.join([name, ', '.join([*words, *held])]).strip()}`"
    usage = f"`{name}({', '.join(words)})`" if words else f"`{name}`"
    sign = getattr(kind, "operator", "")
    if sign and issubclass(kind, Op) and kind.inputs[1] != 0:
        usage += f", written {_written(sign, kind)}"
    return usage


def _written(sign: str, kind: type[Op]) -> str:
    if sign == "[]":
        return "`x[…]`"
    return f"`{sign.removesuffix('x')} x`" if kind.inputs[1] == 1 else f"`x {sign} y`"


def _arguments(kind: type[Entry]) -> Iterator[str]:
    texts = documented(kind)
    own = [_item(each, texts) for each in kind.fields.values() if each.name not in _common()]
    if kind.rest:
        own.append(f"- further arguments: {kind.rest.says}")
    if kind.extra:
        own.append(f"- names of your own: {kind.extra.says}")
    if own:
        yield "## Arguments"
        yield "\n".join(own)
    if issubclass(kind, WeightedOp):
        yield f"Like every layer with weights it also takes {_names(tuple(WeightedOp.fields))}."


def _item(field: Field, texts: dict[str, str]) -> str:
    default = "required" if field.required else "optional" if field.kind.tensor else f"default {spelled(field.default)}"
    text = " ".join(texts.get(field.name, "").split())
    by_name = "" if field.positional else ", by name"
    return f"- `{field.name}`: {text} It is {field.kind.says}; {default}{by_name}."


def _counts(kind: type[Op]) -> Iterator[str]:
    takes = [_pattern(each.split()) for each in kind.takes.split(";")]
    least, most = kind.inputs
    many = _many(least, most)
    dtypes = " or ".join(kind.dtypes)
    yield "## Works on"
    yield f"{many.capitalize()} of {dtypes} numbers" + (f", with {' and '.join(takes)}." if most != 0 else ".")
    if kind.further:
        yield f"Further outputs: {_names(kind.further)}, reached with a dot."
    yield f"Multiply-adds: {_macs(kind)}"


def _formulas(kind: type[Op]) -> Iterator[str]:
    """What it makes, has and costs, with names for the numbers."""
    found = formula(kind.name)
    if found is None:
        return
    taken = " and ".join(_type(each) for each in dict.fromkeys(found.takes))
    counts = [(found.parameters, "parameters"), (found.macs, "multiply-adds")]
    said = " and ".join(f"`{value}` {word[:-1] if value == 1 else word}" for value, word in counts if value != 0)
    yield "## In formulas"
    yield f"`{found.call}`{f' on {taken}' if taken else ''} gives {_type(found.gives)}" + (
        f", with {said}." if said else "."
    )


def _forms(kind: type[Op]) -> Iterator[str]:
    """An example in both backends."""
    found = forms(kind.name)
    if found is None:
        return
    nodes = ", ".join(f"{node} ({count} times)" if count > 1 else node for node, count in Counter(found.nodes).items())
    yield "## In PyTorch and ONNX"
    yield f"`{found.call}` on {found.shapes.partition(' ->')[0].replace(';', ' and')}:"
    yield "```python\n" + "\n".join(found.lines) + "\n```"
    yield f"ONNX: {nodes}." if found.nodes else "ONNX: no node."


def _type(kind: TensorType) -> str:
    dtype = "" if kind.dtype == "float" else f"{kind.dtype} "
    return f"{dtype}[{', '.join(map(str, kind.shape))}]"


def _pattern(axes: list[str]) -> str:
    named = [each for each in axes if each != "*"] or axes
    return " and ".join(AXES.get(each, f"an axis {each}") for each in named)


def _many(least: int, most: int | None) -> str:
    numbers = ("no", "one", "two", "three", "four")
    if most is None:
        return f"{numbers[least]} or more tensors"
    joined = "to" if most - least > 1 else "or"
    words = numbers[most] if least == most else f"{numbers[least]} {joined} {numbers[most]}"
    return f"{words} tensor{'' if most == 1 else 's'}"


def _macs(kind: type[Op]) -> str:
    if kind.macs is Op.macs:
        return "none are counted."
    return " ".join((kind.macs.__doc__ or "counted; the formula is below.").split())


def _examples(kind: type[Entry]) -> Iterator[str]:
    good = [each for each in kind.cases if isinstance(each, Case)][:8]
    bad = {each.code: each for each in reversed(kind.cases) if isinstance(each, Wrong)}
    if good:
        yield "## Examples"
        yield "\n".join(_case(each) for each in good)
    if bad:
        yield "## Refused"
        yield "\n".join(
            f"- `{each.call}` on {each.shape}: {each.code}" for each in sorted(bad.values(), key=lambda one: one.code)
        )


def _case(case: Case) -> str:
    before = f"`{case.given}`, then " if case.given else ""
    counts = [(case.params, "parameters"), (case.macs, "multiply-adds")]
    said = ", ".join(
        f"{value:,} {word}" if isinstance(value, int) else f"{value} {word}" for value, word in counts if value
    )
    return f"- {before}`{case.call}`: {case.shapes}" + (f" ({said})" if said else "")


def spelled(value: Any) -> str:
    """A default as it would be written in a spec."""
    if value is None:
        return "none"
    if value is UNSAID:
        return "the usual one"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(spelled(each) for each in value) + "]"
    if isinstance(value, Initial):
        return value.name
    return str(value) if value != "" else '""'


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{each}`" for each in names)


@cache
def _common() -> frozenset[str]:
    return frozenset(WeightedOp.fields)


# ------------------------------------------------------------------------------------------- docstrings of fields
def documented(kind: type[Entry]) -> dict[str, str]:
    """The text behind each argument: the string that follows its line in the source."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, Entry) and base is not Entry:
            found |= _in_file(inspect.getfile(base)).get(base.__name__, {})
    return found


@cache
def _in_file(path: str) -> dict[str, dict[str, str]]:
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return {node.name: dict(_texts(node)) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def _texts(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for one, other in zip(node.body, node.body[1:], strict=False):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(other, ast.Expr):
            if isinstance(other.value, ast.Constant) and isinstance(other.value.value, str):
                yield one.target.id.removesuffix("_"), inspect.cleandoc(other.value.value)


# ---------------------------------------------------------------------------------------------------- the whole pages
def pages() -> dict[str, str]:
    """The files of docs/reference by name."""
    settings = [part for role in roles() for part in _role(role)]
    return {
        "ops.md": "\n".join([HEAD, "# Ops\n", INTRODUCTION, *_contents(), *_families()]),
        "settings.md": "\n".join([HEAD, "# Settings\n", *settings]),
    }


def _contents() -> Iterator[str]:
    """A line for each op, family by family."""
    for title, names in families().items():
        yield f"**{title}**\n"
        yield from (f"- [{name}](#{name}): {_first(name)}" for name in names)
        yield ""


def _families() -> Iterator[str]:
    for title, names in families().items():
        yield f"## {title}\n"
        yield from (_deeper(_deeper(op_page(name))) for name in names)


def _first(name: str) -> str:
    """The first sentence of an op's page."""
    kind = registry.op(name)
    assert kind is not None
    text = " ".join(_about(kind).partition("\n\n")[0].split())
    return re.split(r"(?<=[.:])\s(?=[A-Z`]|$)", text)[0].rstrip(":")


def families() -> dict[str, list[str]]:
    """The ops by what their declarations say of them, in the order of FAMILIES."""
    found: dict[str, list[str]] = {title: [] for title in FAMILIES}
    for name in registry.names():
        kind = registry.op(name)
        assert kind is not None
        found[next(title for title, holds in FAMILIES.items() if holds(kind))].append(name)
    return found


def _role(role: str) -> Iterator[str]:
    title = ROLES.get(role, role)
    yield f"## {title[:1].upper()}{title[1:]}\n"
    for name in registry.setting_names(role):
        page = setting_page(name, role).replace(f"One of the {ROLES.get(role, role)}.\n\n", "")
        yield _deeper(_deeper(page))


def _deeper(page: str) -> str:
    """The same page, one heading further down."""
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in page.split("\n"))


def write(folder: Path) -> None:
    """Write the files of docs/reference."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    from specc.resources import root

    write(root("docs") / "reference")
