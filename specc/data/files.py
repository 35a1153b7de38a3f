"""How specc writes files: aside, synced and renamed, so that a name never stands for half a file."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

PATIENCE = 10.0  # seconds for the workers of a killed process to end, which hold what it held

_REASONS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "free some space or write to another disk"),
    errno.EDQUOT: ("your disk quota is used up", "free some space or write to another disk"),
    errno.EFBIG: ("the file would be larger than this disk allows", "write to another disk"),
    errno.EACCES: ("permission is denied", "choose a folder that you may write to"),
    errno.EPERM: ("permission is denied", "choose a folder that you may write to"),
    errno.EROFS: ("the disk is read-only", "choose a folder that you may write to"),
    errno.ENOENT: ("its folder does not exist", "make the folder first"),
    errno.ENOTDIR: ("part of the path is a file, not a folder", "choose another path"),
    errno.EISDIR: ("it is a folder", "give the name of a file"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
    errno.EMFILE: ("too many files are open", "close other programs or raise the limit on open files"),
}


class FileProblem(Exception):
    """A file or folder could not be written: the fact in a sentence, the path, and what to do about it."""

    def __init__(self, message: str, path: Path, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.help = help


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a file whole: afterwards `path` holds `data`, or what it held before.

    Raises:
        FileProblem: the disk is full, the folder is missing or may not be written to; nothing is left behind.
    """
    with aside(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    """`write_bytes` of a text in UTF-8, its line ends as they are."""
    write_bytes(path, text.encode("utf-8"))


def append_text(path: Path | str, text: str) -> None:
    """Add to the end of a file, which is made where it is not there.

    Raises:
        FileProblem: as for `write_bytes`; a part of the text may have been written.
    """
    with _explained(Path(path)), open(path, "a", encoding="utf-8", newline="") as file:
        file.write(text)


def write_json(path: Path | str, value: Any) -> None:
    """`write_text` of a value as indented JSON in the order it has; NaN and infinity are refused with ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def aside(path: Path | str) -> Iterator[Path]:
    """A path of the same file name in a hidden folder beside `path`; its files take their places when the block ends.

    Side files written beside the yielded path (external weights) come along, the file itself last, so a name
    appears only when all it refers to is there. If the block raises, everything written is removed.

    Raises:
        FileProblem: an error of the operating system inside the block that concerns these files, or while moving.
            Other exceptions pass through.
    """
    final = _destination(Path(path))
    with _hidden_folder(final, "part") as folder:
        with _explained(final, within=folder):
            yield folder / final.name
        with _explained(final):
            written = sorted(folder.iterdir(), key=lambda each: (each.name == final.name, each.name))
            if not any(each.name == final.name for each in written):
                raise FileProblem(f"nothing was written for {final}", final)
            for each in written:
                _sync(each)
            for each in written:
                os.replace(each, final.parent / each.name)
            _sync_folder(final.parent)


@contextlib.contextmanager
def folder_aside(path: Path | str) -> Iterator[Path]:
    """An empty folder to fill; when the block ends it becomes `path`, in place of the folder that was there.

    Two renames are needed, so a crash between them can leave no `path`; `recover_folder` mends that.

    Raises:
        FileProblem: as for `aside`.
    """
    final = Path(path).resolve()
    recover_folder(final)
    with _hidden_folder(final, "part") as folder:
        with _explained(final, within=folder):
            yield folder
        with _explained(final):
            _sync_tree(folder)
            old = _retired(final)
            if final.exists():
                os.rename(final, old)
            os.rename(folder, final)
            _sync_folder(final.parent)
    shutil.rmtree(_retired(final), ignore_errors=True)


def recover_folder(path: Path | str) -> bool:
    """Put back the folder that a crash inside `folder_aside` had set aside; True when there was one."""
    final = Path(path).resolve()
    old = _retired(final)
    if not old.is_dir():
        return False
    with _explained(final):
        if final.exists():
            shutil.rmtree(old, ignore_errors=True)
            return False
        os.rename(old, final)
    return True


def made_folder(path: Path) -> Path:
    """The folder, made with those that it lies in; raises FileProblem."""
    with _explained(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def held(folder: Path | str) -> Iterator[None]:
    """A folder for this process alone, as long as the block lasts or the process lives; what a killed one had begun to
    write beside its files is removed.

    Raises:
        FileProblem: another process holds it.
    """
    path = Path(folder)
    with _explained(path):
        handle = os.open(path, os.O_RDONLY) if os.name != "nt" else None  # folders cannot be opened on Windows
    try:
        until = time.monotonic() + PATIENCE
        while handle is not None and not _locked(handle):
            if time.monotonic() < until:
                time.sleep(0.2)
                continue
            raise FileProblem(f"{path} is in use: another process trains there", path, "wait for it, or end it first")
        for each in path.glob(".*.part"):
            shutil.rmtree(each, ignore_errors=True)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _locked(handle: int) -> bool:
    """Take the lock of a file or folder; False where another has it. Some network disks have none to take."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in {errno.EAGAIN, errno.EACCES}
    return True


def next_run_folder(root: Path | str, network: str) -> Path:
    """Make `root/<network>/<n>` with the next free number, from 1, and return it; never one that exists.

    Two processes that ask at once get two numbers.

    Example:
        next_run_folder("runs", "LeNet5")  ->  runs/LeNet5/1
    """
    if not network or network in {".", ".."} or any(char in network for char in '/\\:\0<>"|?*'):
        raise FileProblem(f"{network!r} cannot be the name of a folder", Path(root), "name the network otherwise")
    parent = made_folder(Path(root) / network)
    with _explained(parent):
        taken = [int(each.name) for each in parent.iterdir() if each.name.isascii() and each.name.isdigit()]
        number = max(taken, default=0) + 1
        while True:
            folder = parent / str(number)
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                _sync_folder(parent)
                return folder


def _destination(path: Path) -> Path:
    with _explained(path):
        final = path.resolve() if path.is_symlink() else path.absolute()
        folder, other = final.is_dir(), final.exists() and not final.is_file()
    if folder:
        raise FileProblem(f"cannot write {path}: it is a folder", path, "give the name of a file")
    if other:
        raise FileProblem(f"cannot write {path}: it is not an ordinary file", path, "give the name of a file")
    return final


def _retired(final: Path) -> Path:
    return final.with_name(f".{final.name}.old")


@contextlib.contextmanager
def _hidden_folder(final: Path, suffix: str) -> Iterator[Path]:
    """A new folder beside `final` on the same disk, removed at the end whatever happens."""
    folder = final.with_name(f".{final.name[:60]}.{secrets.token_hex(4)}.{suffix}")
    with _explained(final):
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _explained(path: Path, within: Path | None = None) -> Iterator[None]:
    """Turn errors of the operating system into `FileProblem`; with `within`, only those that concern that folder."""
    try:
        yield
    except OSError as error:
        names = [Path(os.fsdecode(each)) for each in (error.filename, error.filename2) if isinstance(each, str | bytes)]
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        if within is not None and not full and not any(within == each or within in each.parents for each in names):
            raise
        _refuse(path, error)


def _refuse(path: Path, error: OSError) -> NoReturn:
    code = error.errno if error.errno is not None else 0
    reason, help = _REASONS.get(code, (error.strerror or str(error) or type(error).__name__, ""))
    raise FileProblem(f"cannot write {path}: {reason}", path, help) from error


def _sync_tree(folder: Path) -> None:
    for each in sorted(folder.iterdir()):
        if each.is_dir():
            _sync_tree(each)
        else:
            _sync(each)
    _sync_folder(folder)


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename in this folder last; only where folders can be opened (not on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network disks cannot sync a folder
            raise
    finally:
        os.close(handle)
