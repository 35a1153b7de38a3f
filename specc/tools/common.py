"""What the commands share: common options, compiling a file, showing diagnostics."""

from __future__ import annotations

import os
import sys
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from math import isfinite
from typing import TYPE_CHECKING, Any

from specc.compiler import Compilation, compile_text
from specc.data.project import open_spec
from specc.text import render
from specc.text.diagnostics import Bag, SpecError
from specc.text.source import Source
from specc.tools.cli import Failure

if TYPE_CHECKING:
    from specc.backends.onnx_weights import WeightFile
    from specc.data.files import FileProblem
    from specc.data.sources import DataProblem
    from specc.train.problem import TrainProblem


def spec_options(parser: ArgumentParser) -> None:
    """Options of everything that reads a spec."""
    parser.add_argument("--network", metavar="NAME", help="the network (default: the last in the file)")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="override a parameter or a setting",
    )
    parser.add_argument("--size", metavar="H=224,W=224", action="append", default=[], help="bind unknown sizes")
    parser.add_argument("--strict", action="store_true", help="warnings are errors")
    parser.add_argument(
        "--format", choices=("text", "json", "github"), default="text", help="how diagnostics are written"
    )


def python_option(parser: ArgumentParser) -> Action:
    """The option without which no code of the user's runs."""
    return parser.add_argument(
        "--allow-python", action="store_true", help='let `data python("module:function")` run your code'
    )


def workers_option(parser: ArgumentParser) -> Action:
    """How many processes read samples."""
    help = "processes that read samples which are not in memory (default: one less than the processors, at most 8)"
    return parser.add_argument("--workers", metavar="N", type=whole, help=help)


def whole(text: str) -> int:
    """A whole number from 0 on, of the command line."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"`{text}` is not a whole number")
    return int(text)


def settings(args: Namespace) -> dict[str, str]:
    """`--set` as a mapping."""
    found = {}
    for each in args.settings:
        key, sign, value = each.partition("=")
        if not sign or not key.strip():
            raise Failure(2, f"`--set {each}` is not of the form KEY=VALUE")
        found[key.strip()] = value
    return found


def sizes(args: Namespace) -> dict[str, int]:
    """`--size` as a mapping."""
    found = {}
    for each in ",".join(args.size).split(",") if args.size else ():
        key, _, value = each.partition("=")
        if not key.strip().isidentifier() or not value.strip().isdecimal() or not 1 <= int(value) <= 2**40:
            raise Failure(2, f"`--size {each}` is not of the form H=224")
        found[key.strip()] = int(value)
    return found


def compile_file(path: str, args: Namespace) -> Compilation:
    """Compile a file with the common options; diagnostics are in the bag, also for a file that cannot be read."""
    try:
        project = open_spec(path)
    except SpecError as error:
        bag = Bag()
        bag.add(error.diagnostic)
        return Compilation(Source(path, ""), bag)
    return compile_text(
        project.text, project.name, network=args.network, settings=settings(args), sizes=sizes(args), read=project.read
    )


def colour(stream: object) -> bool:
    """Whether to colour what goes to a stream."""
    return bool(getattr(stream, "isatty", lambda: False)()) and "NO_COLOR" not in os.environ


def show(bag: Bag, form: str = "text") -> None:
    """Diagnostics to stderr (github: to stdout, where GitHub reads it); for json the caller writes them."""
    if form == "text" and len(bag):
        print(render.text(bag, colour(sys.stderr)), file=sys.stderr)
        print(render.summary(bag), file=sys.stderr)
    elif form == "github":
        sys.stdout.write(render.github(bag))


def exit_code(bag: Bag, strict: bool = False) -> int:
    """0, 1 for an error (or a warning under --strict), 2 for a file that cannot be read."""
    codes = {each.code for each in bag if each.severity == "error"}
    if codes & UNREADABLE:
        return 2
    worst = {"error", "warning"} if strict else {"error"}
    return 1 if any(each.severity in worst for each in bag) else 0


UNREADABLE = {"missing-file", "unreadable-file", "not-text", "file-too-large"}
ABSENT = {"not-a-run", "damaged-run", "no-checkpoint", "damaged-checkpoint", "no-device", "missing-data", "bad-data"}
ABSENT |= {"missing-weights", "bad-weights", "process-lost"}


def refused(problem: TrainProblem | DataProblem | FileProblem) -> Failure:
    """How a command ends that training or its data refused: 2 where a file, a run or a device is missing, else 1."""
    from specc.data.sources import DataProblem, MissingData

    slug = (
        "missing-data" if isinstance(problem, MissingData) else "bad-data" if isinstance(problem, DataProblem) else ""
    )
    slug = getattr(problem, "code", slug)
    return Failure(2 if not slug or slug in ABSENT else 1, str(problem), problem.help, slug)


def finite(value: Any) -> Any:
    """A value for JSON, which knows no NaN and no infinity: null stands for them."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def compiled(path: str, args: Namespace) -> Compilation:
    """Compile for a command that needs a sound network; ends the command otherwise."""
    found = compile_file(path, args)
    show(found.bag, args.format if args.format != "json" else "text")
    code = exit_code(found.bag, args.strict)
    if code:
        raise Failure(code)
    if not found.models:
        raise Failure(1, f"`{path}` holds only templates", "bind the parameters in an alias, or with --set")
    return found


def header(found: Compilation) -> str:
    """The line that says which spec a generated module comes from."""
    from hashlib import sha256

    digest = sha256(found.source.text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{found.source.name} (sha256 {digest[:16]})"


def write(path: str, text: str) -> None:
    """Write a file whole or not at all; ends the command where that cannot be done."""
    from specc.data.files import FileProblem, write_text

    try:
        write_text(path, text)
    except FileProblem as problem:
        raise Failure(2, str(problem), problem.help) from None


def weights(path: str) -> WeightFile:
    """A file of weights; ends the command where it cannot be read."""
    from specc.backends.onnx_weights import WeightFile, WeightProblem

    try:
        return WeightFile(path)
    except WeightProblem as problem:
        raise Failure(2, str(problem), problem.help, problem.code) from None
