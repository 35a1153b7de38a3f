"""Run an exported network on pictures, volumes, arrays and tables, and show or write what it makes of them."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from specc.data.files import FileProblem
from specc.data.sources import DataProblem
from specc.deploy.described import NotOurs
from specc.deploy.given import STREAM, Broken, files, samples
from specc.deploy.outputs import FORMATS, Folder, Table
from specc.deploy.predict import How, Prediction, brief, predicted, table
from specc.deploy.providers import NoDevice
from specc.deploy.runtime import BadInput, Predictor
from specc.deploy.windows import parsed
from specc.tools import common, running
from specc.tools.cli import Failure
from specc.tools.running import Running

_SHOWN = ("text", "json", "csv")


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="pictures, .nii volumes, .npy, .npz, .csv, folders of these, or - for .npy or CSV from stdin",
    )
    parser.add_argument("--out", metavar="DIR", help="write files into this folder instead of showing a table")
    parser.add_argument(
        "--format",
        metavar="FORMAT",
        help=f"{', '.join(_SHOWN)}; with --out one or more of {', '.join(FORMATS)}, separated by commas",
    )
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="samples (or windows) at a time")
    parser.add_argument("--window", metavar="96,96,96", help="go over each sample with a window of this size")
    parser.add_argument("--overlap", type=float, default=0.5, metavar="SHARE", help="of neighbouring windows (0.5)")
    parser.add_argument("--blend", choices=("gaussian", "constant"), default="gaussian", help="of overlapping windows")
    parser.add_argument("--channels", metavar="adc,cbf", default="", help="the volumes of a case, by their file names")
    running.options(parser)


def run(args: Namespace) -> int:
    formats = _formats(args)
    channels = [each.strip() for each in args.channels.split(",") if each.strip()]
    try:
        window = None if args.window is None else parsed(args.window, args.overlap, args.blend)
        predictor = running.opened(args)
        count = sum(1 if each == STREAM else len(files(predictor, [each], channels)) for each in args.inputs)
        with Running(count, window is not None, quiet=formats == ("csv",) and not args.out) as bar:
            shown = _Shown(predictor, args.out, formats, bar)
            how = How(args.batch, window, shown.refuse, bar.windows)
            for each in predicted(predictor, bar.files(samples(predictor, args.inputs, channels)), how):
                shown.add(each)
        return shown.finish()
    except (NotOurs, NoDevice, BadInput, DataProblem, FileProblem) as problem:
        raise Failure(2, str(problem), problem.help) from None


def _formats(args: Namespace) -> tuple[str, ...]:
    """What to write; for what is shown, one of three."""
    given = tuple(each.strip() for each in (args.format or "").split(",") if each.strip())
    known = FORMATS if args.out else _SHOWN
    for each in given:
        if each not in known:
            other = "add --out DIR" if each in FORMATS and not args.out else f"it is one of {', '.join(known)}"
            raise Failure(2, f"`--format {each}` cannot be {'written to a folder' if args.out else 'shown'}", other)
    if len(given) > 1 and not args.out:
        raise Failure(2, "one format can be shown at a time", "add --out DIR to write several")
    return given or (() if args.out else ("text",))


class _Shown:
    """Takes predictions as they come and shows or writes them; what was broken is said at once and counted."""

    def __init__(self, predictor: Predictor, folder: str | None, formats: tuple[str, ...], bar: Running) -> None:
        self._folder = None if folder is None else Folder(predictor, Path(folder), formats)
        self._form = formats[0] if folder is None else ""
        self._table = Table(predictor, sys.stdout)
        self._rows: list[Any] = []
        self._broken: list[Broken] = []
        self._bar = bar
        self._count = 0

    def add(self, prediction: Prediction) -> None:
        self._count += 1
        try:
            if self._folder is not None:
                self._folder.add(prediction)
            elif self._form == "csv":
                self._table.add(prediction)
            else:
                self._rows.append(brief(prediction) if self._form == "text" else prediction.to_json())
        except BadInput as problem:
            self._count -= 1
            self.refuse(Broken("", problem.message, problem.help))

    def refuse(self, found: Broken) -> None:
        self._broken.append(found)
        source = f"{found.source}: " if found.source else ""
        self._bar.say(f"error: {source}{found.message}" + (f"\nhelp: {found.help}" if found.help else ""))

    def finish(self) -> int:
        """The rest of what is shown; the exit code."""
        if self._folder is not None:
            self._folder.close()
            count = len(self._folder.written)
            print(f"wrote {count} file{'' if count == 1 else 's'} for {self._count} predictions", file=sys.stderr)
        elif self._form == "json":
            failed = [{"source": each.source, "message": each.message} for each in self._broken]
            said = {"schema": 1, "predictions": common.finite(self._rows), "failed": failed}
            json.dump(said, sys.stdout, indent=1, ensure_ascii=False)
            print()
        elif self._form == "text" and self._rows:
            heads, rows = table(self._rows)
            widths = [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]
            for row in [heads, *rows]:
                print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        if self._broken and self._count:
            print(f"{len(self._broken)} of {len(self._broken) + self._count} could not be predicted", file=sys.stderr)
        return 2 if self._broken else 0
