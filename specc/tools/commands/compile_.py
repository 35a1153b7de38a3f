"""Write the PyTorch module of a network: readable, needing torch alone."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from specc.tools import common


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("-o", "--output", metavar="MODEL.py", help="where to write it (default: stdout)")
    common.spec_options(parser)


def run(args: Namespace) -> int:
    from specc.backends.pytorch import write

    found = common.compiled(args.file, args)
    text = write(found.model(), header=common.header(found))
    if args.output is None:
        sys.stdout.write(text)
        return 0
    common.write(str(args.output), text)
    print(f"wrote {args.output}", file=sys.stderr)
    return 0
