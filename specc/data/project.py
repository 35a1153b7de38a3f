"""Opening a spec on disk: its text, and a reader of what it imports that stays inside the project's folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from specc.text.diagnostics import Diagnostic, SpecError

LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Project:
    """A spec's text, its name relative to the project's folder, and the reader of its imports."""

    text: str
    name: str
    folder: Path
    read: Callable[[str], str | None]


def open_spec(path: str | Path) -> Project:
    """Open a `.net` file. The project's folder is the working folder if the file lies in it, else the file's own.

    Raises SpecError (`missing-file`, `unreadable-file`, `not-text`, `file-too-large`).
    """
    whole = Path(path).resolve()
    folder = project_folder(whole)
    text = _text(whole, str(path))

    def read(name: str) -> str | None:
        wanted = (folder / name).resolve()
        if not wanted.is_relative_to(folder):
            raise SpecError(
                Diagnostic("import-outside", None, f"`{name}` leads outside the project's folder", file=str(path))
            )
        return _text(wanted, name) if wanted.exists() else None

    return Project(text, whole.relative_to(folder).as_posix(), folder, read)


def project_folder(path: str | Path) -> Path:
    """Where the paths of a spec start, and what its imports stay inside."""
    here, whole = Path.cwd().resolve(), Path(path).resolve()
    return here if whole.is_relative_to(here) else whole.parent


def _text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:  # a pipe or a device has no size, so it is not asked for
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise _problem("file-too-large", name, f"`{name}` has more than {LARGEST:,} bytes; a spec is a small text")
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise _problem("missing-file", name, f"there is no file `{name}`") from None
    except UnicodeDecodeError as error:
        message = f"`{name}` is not a text in UTF-8: byte {error.start} cannot be read"
        raise _problem("not-text", name, message, "is this the right file?") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _problem("unreadable-file", name, f"`{name}` cannot be read: {reason}") from None


def _problem(code: str, name: str, message: str, help: str = "") -> SpecError:
    return SpecError(Diagnostic(code, None, message, help, file=name))
