"""Start a spec of your own, or make data to try one on."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from specc.tools import common
from specc.tools.commands.specs_ import bundled

START = """\
# {name}: say here what it is and where it comes from.

network {network}(classes: int = 10) {{
    input image: [1, 8, 8]
    conv1: conv(16, 3, padding=1)    expect [16, 8, 8], params=160
    relu
    maxpool(2)                       expect [16, 4, 4]
    flatten
    fc:    linear(classes)           expect [classes]
    softmax
}}

train {{
    data       digits
    loss       cross_entropy
    optimizer  adam(lr=0.001)
    batch      32
    epochs     10
    metrics    accuracy
    seed       0
}}
"""


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the file to write, with or without .net; a folder with --data")
    parser.add_argument("--from", metavar="SPEC", dest="origin", help="a bundled spec to start from (specc specs)")
    parser.add_argument(
        "--data", choices=("lesions", "shapes"), help="make data instead: stroke patients as NIfTI, pictures with masks"
    )
    parser.add_argument("--count", metavar="N", type=int, help="how many patients (default: 10) or pictures (120)")
    parser.add_argument("--scale", metavar="N", type=int, default=4, help="lesions: what divides width and height")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="data of another seed are others")


def run(args: Namespace) -> int:
    from specc.tools.cli import Failure

    if args.data:
        return _data(args)
    path = Path(args.name if args.name.endswith(".net") else f"{args.name}.net")
    if path.exists():
        raise Failure(2, f"`{path}` is there already", "choose another name; nothing is overwritten")
    text = _copy(args.origin) if args.origin else START.format(name=path.stem, network=_network(path.stem))
    for name in re.findall(r'^import .* from "(\w+)\.net"', text, re.MULTILINE):
        beside = path.with_name(f"{name}.net")
        if not beside.exists():
            common.write(str(beside), _copy(name))
            print(f"wrote {beside}, which it imports", file=sys.stderr)
    common.write(str(path), text)
    print(f"wrote {path}; now: specc check {path}", file=sys.stderr)
    return 0


def _data(args: Namespace) -> int:
    """Write a folder of data that are made."""
    from specc.data.files import FileProblem
    from specc.data.lesions import write_lesions
    from specc.data.pictured import write_shapes
    from specc.data.sources import DataProblem

    folder = Path(args.name)
    try:
        if args.data == "lesions":
            count = write_lesions(folder, 10 if args.count is None else args.count, args.scale, args.seed)
        else:
            count = write_shapes(folder, 120 if args.count is None else args.count, args.seed)
    except (FileProblem, DataProblem) as problem:
        raise common.refused(problem) from None
    print(f"wrote {count} samples into {folder}; they depend on --seed alone", file=sys.stderr)
    return 0


def _copy(origin: str) -> str:
    """The text of a bundled spec, its imports of blocks from the library."""
    from specc.model.elaborate.problem import suggestion
    from specc.tools.cli import Failure

    files = bundled()
    name = origin.removesuffix(".net")
    if name not in files:
        raise Failure(2, f"there is no bundled spec `{origin}`", suggestion(name, files))
    text = files[name].read_text(encoding="utf-8")
    # a copy stands elsewhere: files beside the bundled one are reached through the library
    return re.sub(r'from "blocks/(\w+)\.net"', r"from \1", text)


def _network(stem: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", stem) or ["Net"]
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return name if name[0].isalpha() else f"Net{name}"
