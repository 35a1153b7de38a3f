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
    from specc.data.files import FileProblem, write_text
    from specc.tools.cli import Failure

    found = common.compiled(args.file, args)
    text = write(found.model(), header=common.header(found))
    if args.output is None:
        sys.stdout.write(text)
        return 0
    try:
        write_text(args.output, text)
    except FileProblem as problem:
        raise Failure(2, str(problem), problem.help) from None
    print(f"wrote {args.output}", file=sys.stderr)
    return 0
