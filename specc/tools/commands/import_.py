"""Read a network that another program wrote into a spec, with its weights beside it; proved before it is written."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from specc.tools.cli import Failure


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.onnx|.prototxt", help="what to read")
    parser.add_argument("-o", "--output", metavar="FILE.net", help="the spec (default: MODEL.net in this folder)")
    parser.add_argument("--weights", metavar="FILE.caffemodel", help="the weights of a .prototxt")
    parser.add_argument(
        "--name", metavar="NAME", default="", help="what the network is called (default: after the file)"
    )


def run(args: Namespace) -> int:
    from specc.data.files import FileProblem
    from specc.deploy.proof import Disproved
    from specc.deploy.reading.file import Unreadable
    from specc.deploy.reading.writing import import_caffe, import_onnx
    from specc.model.report import parameters

    source = Path(args.model)
    target = Path(args.output or f"{source.stem}.net")
    if target.suffix != ".net":
        raise Failure(2, f"{target} does not end in .net", f"-o {target.stem}.net")
    kind = source.suffix.lower()
    if kind not in (".onnx", ".prototxt"):
        raise Failure(2, f"{source.name} is neither .onnx nor .prototxt", "specc import reads ONNX and Caffe")
    if args.weights and kind == ".onnx":
        raise Failure(2, "an .onnx file holds its weights", "--weights goes with a .prototxt")
    try:
        if kind == ".onnx":
            found = import_onnx(source, target, args.name)
        else:
            found = import_caffe(source, target, args.name, args.weights)
    except Unreadable as problem:
        lines = "".join(f"\n  {each}" for each in problem.lines)
        raise Failure(1 if problem.lines else 2, problem.message + lines, problem.help) from None
    except Disproved as problem:
        raise Failure(2, problem.message, problem.help) from None
    except FileProblem as problem:
        raise Failure(2, problem.message, problem.help) from None
    count = parameters(found.network.model)
    print(f"{found.spec}: {count:,} parameters, {found.network.blocks} blocks", file=sys.stderr)
    if found.trials:
        print(f"equal to {source.name} to {found.error:.1e}, in {found.trials} trials", file=sys.stderr)
    else:
        print("not compared: there is no Caffe here to run the original", file=sys.stderr)
    if found.weights is not None:
        print(f"its weights: {found.weights}", file=sys.stderr)
        print(f"go on with: specc export {found.spec} --weights {found.weights} -o again.onnx", file=sys.stderr)
    print(found.spec)
    return 0
