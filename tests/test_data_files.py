"""Files are written whole or not at all, and folders of runs never collide."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from specc.data import files
from specc.data.files import FileProblem, aside, folder_aside, next_run_folder, recover_folder, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    write_text(tmp_path / "a.txt", "one\r\n")
    write_text(tmp_path / "a.txt", "zwei ä\n")
    write_json(tmp_path / "b.json", {"b": 1, "a": [0.1]})
    assert (tmp_path / "a.txt").read_bytes() == "zwei ä\n".encode()
    assert json.loads((tmp_path / "b.json").read_text()) == {"b": 1, "a": [0.1]}
    assert names(tmp_path) == ["a.txt", "b.json"]
    with pytest.raises(ValueError):
        write_json(tmp_path / "b.json", float("nan"))
    assert json.loads((tmp_path / "b.json").read_text())["b"] == 1


def test_side_files_come_along_and_the_file_appears_last(tmp_path, monkeypatch):
    moved: list[str] = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (moved.append(Path(b).name), replace(a, b))[1])
    with aside(tmp_path / "net.onnx") as temporary:
        assert temporary.name == "net.onnx"
        temporary.write_bytes(b"model")
        (temporary.parent / "net.onnx.data").write_bytes(b"weights")
        (temporary.parent / "a.txt").write_bytes(b"side")
        assert not (tmp_path / "net.onnx").exists()
    assert moved == ["a.txt", "net.onnx.data", "net.onnx"]
    assert names(tmp_path) == ["a.txt", "net.onnx", "net.onnx.data"]


def test_an_error_inside_the_block_passes_through_and_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "a", "old")

    def half_then(raises):
        with aside(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raises()

    with pytest.raises(KeyError):
        half_then(lambda: {}["mine"])
    with pytest.raises(FileNotFoundError):
        half_then((tmp_path / "unrelated" / "input").read_text)
    with pytest.raises(FileProblem, match="nothing was written"), aside(tmp_path / "a"):
        pass
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("where", ["fsync", "replace", "mkdir"])
@pytest.mark.parametrize(
    ("code", "said"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "permission"), (errno.EIO, "rror")]
)
def test_a_fault_of_the_disk_is_named_and_leaves_the_old_file(tmp_path, monkeypatch, where, code, said):
    write_text(tmp_path / "a", "old")

    def broken(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, where, broken)
        with pytest.raises(FileProblem, match=said) as caught:
            write_text(tmp_path / "a", "new")
    assert caught.value.path == tmp_path / "a"
    assert str(tmp_path / "a") in caught.value.message
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no resource limits to provoke the fault with")
def test_a_real_limit_on_the_size_of_a_file(tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(FileProblem, match="larger than this disk allows"):
            write_text(tmp_path / "a", "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for path, said in [
        (tmp_path / "missing" / "a", "folder does not exist"),
        (tmp_path / "file" / "a", "is a file, not a folder"),
        (tmp_path, "it is a folder"),
        (tmp_path / ("n" * 300), "name is too long"),
    ]:
        with pytest.raises(FileProblem, match=said) as caught:
            write_text(path, "")
        assert caught.value.help
    if os.name == "posix":
        with pytest.raises(FileProblem, match="not an ordinary file"):
            write_text("/dev/null", "")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_killed_writer_leaves_one_whole_version(tmp_path):
    code = (
        "import sys; from specc.data.files import write_bytes\n"
        "while True:\n    for byte in (b'a', b'b'): write_bytes(sys.argv[1], byte * 200_000)"
    )
    path = tmp_path / "a"
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        writer.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        writer.wait()
        data = path.read_bytes()
        assert data in (b"a" * 200_000, b"b" * 200_000)


def test_run_folders_count_up_and_never_collide(tmp_path):
    assert next_run_folder(tmp_path, "LeNet5") == tmp_path / "LeNet5" / "1"
    (tmp_path / "LeNet5" / "7").mkdir()
    (tmp_path / "LeNet5" / "notes").mkdir()
    assert next_run_folder(tmp_path, "LeNet5").name == "8"
    made: list[Path] = []
    threads = [threading.Thread(target=lambda: made.append(next_run_folder(tmp_path, "LeNet5"))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(int(each.name) for each in made) == list(range(9, 17))
    for wrong in ("", "..", "a/b"):
        with pytest.raises(FileProblem):
            next_run_folder(tmp_path, wrong)


def test_a_folder_is_replaced_whole_and_recovered_after_a_crash(tmp_path, monkeypatch):
    last = tmp_path / "last"
    with folder_aside(last) as folder:
        (folder / "weights").write_text("1")

    def half():
        with folder_aside(last) as folder:
            (folder / "weights").write_text("2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert (last / "weights").read_text() == "1"
    rename = os.rename
    calls: list[object] = []

    def crash(a, b):
        calls.append(a)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(a, b)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", crash)
        with pytest.raises(KeyboardInterrupt), folder_aside(last) as folder:
            (folder / "weights").write_text("3")
    assert recover_folder(last)
    assert (last / "weights").read_text() == "1"
    assert not recover_folder(last)
    with folder_aside(last) as folder:
        (folder / "weights").write_text("4")
    assert (last / "weights").read_text() == "4"
    assert names(tmp_path) == ["last"]
    assert files._retired(last).exists() is False
