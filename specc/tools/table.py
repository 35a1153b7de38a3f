"""The report as text that reads well at 80 columns."""

from __future__ import annotations

from typing import Any

WIDTH = 80
CAUSES = 8  # of a condition, as the table shows them
SHORT = 14


def whole(report: dict[str, Any]) -> list[str]:
    """The table of layers, the totals and the conditions of one network."""
    lines = _head(report)
    lines += _steps(report)
    lines += ["", *_totals(report)]
    return [*lines, *_conditions(report), ""]


def brief(report: dict[str, Any]) -> list[str]:
    """One network in a line or two."""
    return [f"{report['name']}: {number(report['parameters'])} parameters, {number(report['macs'])} multiply-adds"]


def number(value: int | str) -> str:
    """A count with commas; a formula as it is."""
    return f"{value:,}" if isinstance(value, int) else value


def shape(sizes: list[int | str] | None) -> str:
    """`64 x 112 x 112`."""
    if sizes is None:
        return "?"
    return " x ".join(f"({each})" if isinstance(each, str) and " " in each else str(each) for each in sizes) or "scalar"


def _head(report: dict[str, Any]) -> list[str]:
    inputs = ", ".join(f"{each['name']} {shape(each['shape'])}" for each in report["inputs"])
    outputs = ", ".join(f"{each['name']} {shape(each['shape'])}" for each in report["outputs"])
    return [f"{report['name']}   ({report['file']})", f"  {inputs}  ->  {outputs}", ""]


def _steps(report: dict[str, Any]) -> list[str]:
    rows = [
        (each["path"], each["op"], shape(each["shape"]), _count(each["parameters"]), _count(each["macs"]))
        for each in report["steps"]
    ]
    head = ("layer", "op", "output", "parameters", "mult-adds")
    widths = [min(max(len(row[at]) for row in [head, *rows]), most) for at, most in enumerate((24, 16, 24, 13, SHORT))]
    spare = WIDTH - 2 - sum(widths) - 8
    if spare > 0:
        longest = max((len(row[0]) for row in rows), default=0)
        widths[0] += min(spare, max(0, longest - widths[0]))
    lines = [_row(head, widths), "  " + "-" * min(WIDTH - 2, sum(widths) + 8)]
    return lines + [line for row in rows for line in _rows(row, widths)]


def _count(value: int | str) -> str:
    return "" if value == 0 else number(value)


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    left = [f"{cell:<{width}}" for cell, width in zip(cells[:3], widths[:3], strict=True)]
    right = [f"{cell:>{width}}" for cell, width in zip(cells[3:], widths[3:], strict=True)]
    return ("  " + "  ".join([*left, *right])).rstrip()


def _rows(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    """A row; what is too long for its column goes to lines of its own below."""
    fitted = tuple(_shortened(cell, width, at) for at, (cell, width) in enumerate(zip(cells, widths, strict=True)))
    lines = [_row(fitted, widths)]
    names = ("", "", "output", "parameters", "mult-adds")
    for at, (cell, cut) in enumerate(zip(cells, fitted, strict=True)):
        if cell != cut and at >= 2:
            lines.append(f"      {names[at]} = {cell}")
    return lines


def _shortened(cell: str, width: int, at: int) -> str:
    if len(cell) <= width:
        return cell
    if at >= 2:
        return "below"
    return "\N{HORIZONTAL ELLIPSIS}" + cell[len(cell) - width + 1 :]


def _totals(report: dict[str, Any]) -> list[str]:
    trainable = report["trainable"]
    frozen = "" if trainable == report["parameters"] else f" ({number(trainable)} trainable)"
    rows = [("parameters", number(report["parameters"]) + frozen)]
    if report["buffers"]:
        rows.append(("buffers", number(report["buffers"])))
    rows.append(("multiply-adds", number(report["macs"])))
    if report["receptive"]:
        rows.append(("receptive field", shape(report["receptive"])))
    rows += [(f"activations, {key}", size(value)) for key, value in report["memory"].items()]
    if report["tied"]:
        rows.append(("tied", ", ".join(f"{a} = {b}" for a, b in report["tied"])))
    return [line for name, value in rows for line in _total(name, value)]


def _total(name: str, value: str) -> list[str]:
    lines = [f"  {name:<23}{value}"]
    return lines if len(lines[0]) <= WIDTH else [f"  {name}", *_wrapped(value)]


def _wrapped(value: str) -> list[str]:
    """A long formula over several lines, broken at its signs."""
    lines, line = [], "     "
    for word in value.split(" "):
        if len(line) + 1 + len(word) > WIDTH and line.strip():
            lines.append(line)
            line = "     "
        line += " " + word
    return [*lines, line]


def size(value: int | str) -> str:
    """Bytes, as people read them."""
    if isinstance(value, str):
        return f"{value} bytes"
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{value} bytes"


def _conditions(report: dict[str, Any]) -> list[str]:
    if not report["conditions"]:
        return []
    lines = ["", "  valid exactly when"]
    for each in report["conditions"]:
        lines.append(f"    {each['text']}" + ("" if each.get("decided", True) else " (could not be decided)"))
        causes = each["causes"]
        for cause in causes[:CAUSES]:
            lines += _paragraph(f"{cause['path']} (line {cause['line']}): {cause['text']}", "      ")
        if len(causes) > CAUSES:
            lines.append(f"      … and {len(causes) - CAUSES} more; `--format json` lists them")
    return lines


def _paragraph(text: str, indent: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False)
