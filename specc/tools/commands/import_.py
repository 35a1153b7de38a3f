"""Read ONNX or prototxt into a spec: not there yet."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from specc.tools.cli import Failure


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.onnx|.prototxt")
    parser.add_argument("-o", "--output", metavar="FILE.net")


def run(args: Namespace) -> int:
    raise Failure(2, f"`{args.model}` cannot be imported: this version does not read other formats yet")
