"""The bundled networks: what each file in specs/ says of itself."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from specc.resources import root


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="print this one")


def run(args: Namespace) -> int:
    from specc.tools.cli import Failure

    files = bundled()
    if args.name is not None:
        from specc.model.elaborate.problem import suggestion

        if args.name not in files:
            raise Failure(2, f"there is no bundled spec `{args.name}`", suggestion(args.name, files))
        print(files[args.name].read_text(encoding="utf-8"), end="")
        return 0
    width = max(map(len, files))
    for name, file in files.items():
        print(f"{name:<{width}}  {about(file)}")
    print(f"\nThey lie in {root('specs')}; `specc new mine --from {next(iter(files))}` starts from one.")
    return 0


def bundled() -> dict[str, Path]:
    """The specs by name, without the block library."""
    return {file.stem: file for file in sorted(root("specs").glob("*.net"))}


def about(file: Path) -> str:
    """The first sentence of the comment a spec opens with."""
    first = file.read_text(encoding="utf-8").split("\n", 1)[0]
    text = first.removeprefix("#").strip()
    return text if len(text) <= 64 else text[:61].rsplit(" ", 1)[0] + " …"
