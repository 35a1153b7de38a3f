"""Files of weights: what is read and refused, how a network is held against them, and training that starts from one."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx_files import model_of
from safetensors.torch import load_file, save_file, save_model
from torch import Tensor, nn

from specc.backends.weight_files import WeightFile, WeightProblem
from specc.backends.weight_keys import Matched, match, report
from specc.compiler import compile_text
from specc.data.weights import check_weights
from specc.tools.cli import main
from specc.train.problem import TrainProblem
from specc.train.runs import Run
from specc.train.training import train

ROOT = Path(__file__).parent.parent
NET = """network Net {
    input image: [1, 8, 8]
    backbone: {
        conv1: conv(4, 3)
        norm1: batchnorm
        relu
        global_avgpool
    }
    fc: linear(10)
    softmax
}
"""
SETTINGS = "train { data digits; loss cross_entropy; epochs 0; LINE }\n"
TIED = """network Tied {
    input words: int [5]
    wte: embedding(7, 4)
    linear(7, bias=false, weight=wte.weight)
}
"""


def backbone() -> dict[str, Tensor]:
    """A state-dict of the part `backbone`, with a head that the network has not."""
    torch.manual_seed(3)
    parts = OrderedDict(conv1=nn.Conv2d(1, 4, 3), norm1=nn.BatchNorm2d(4), fc=nn.Linear(4, 3))
    return dict(nn.Sequential(parts).state_dict())


def begun(folder: Path, line: str, network: str = NET) -> dict[str, Tensor]:
    """The weights that training starts from with this `weights` line."""
    found = compile_text(network + SETTINGS.replace("LINE", line), "a.net")
    assert found.ok, [each.message for each in found.bag]
    run = train(found, out_root=folder / "runs", project=folder, device="cpu")
    return load_file(run.folder / "last" / "weights.safetensors")


def said(folder: Path, line: str, network: str = NET) -> list[tuple[str, str, str, str]]:
    """What `check` says of it: severity, code, the text that is underlined, the message."""
    found = compile_text(network + SETTINGS.replace("LINE", line), "a.net")
    assert found.ok, [each.message for each in found.bag]
    model = found.model()
    each = check_weights(model, found.programs[model.name, ""], folder)
    return [(d.severity, d.code, d.span.text if d.span else "", d.message) for d in each]


# ------------------------------------------------------------------------------------------------ what PyTorch saves
def strange() -> dict[str, Tensor]:
    """Tensors of every kind and layout that a state-dict may hold."""
    base = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    return {
        "plain": base, "turned": base.t(), "cut": base[2:4, 1:5], "stepped": base[::2, ::3], "spread": base[:1].expand(5, 8),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last), "empty": torch.zeros(0, 3),
        "half": torch.randn(3).half(), "brain": torch.randn(3).bfloat16(), "double": torch.randn(3).double(),
        "truth": torch.tensor([True, False]), "scalar": torch.tensor(3.5), "count": torch.tensor(7),
        "small": torch.tensor([-3, 4], dtype=torch.int8), "byte": torch.tensor([200], dtype=torch.uint8),
        "parameter": nn.Parameter(torch.randn(2, 2)), "one": torch.randn(1, 4).t(),
    }  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_is_read_without_torch(tmp_path: Path, zipped: bool) -> None:
    tensors = strange()
    torch.save(tensors, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    source = WeightFile(tmp_path / "w.pth")
    assert source.keys() == tuple(tensors)
    for key, tensor in tensors.items():
        wide = tensor.detach()
        wide = wide.float() if wide.is_floating_point() else wide if wide.dtype == torch.bool else wide.long()
        assert source.stored(key).shape == tuple(tensor.shape)
        assert np.array_equal(source.array(key), wide.numpy()), key
        kind: Any = "float" if wide.is_floating_point() else "bool" if wide.dtype == torch.bool else "int"
        pieces = b"".join(bytes(each) for each in source.chunks(key, kind))
        assert pieces == np.ascontiguousarray(wide.numpy()).tobytes(), key
    source.close()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (nn.Linear(2, 2), "an object of torch.nn.modules.linear.Linear"),
        ([torch.ones(2)], "no dictionary"),
        (torch.ones(2), "no dictionary"),
        (
            {"model": {"a": torch.ones(1)}, "ema": {"a": torch.ones(1)}},
            "several dictionaries of tensors: `model`, `ema`",
        ),
        ({"epoch": 3}, "no tensors"),
        ({}, "no tensors"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: Any, message: str, zipped: bool) -> None:
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightProblem, match=message) as caught:
        WeightFile(tmp_path / "w.pth")
    assert caught.value.code == "bad-weights"


class Evil:
    """What runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_pickle_is_run(tmp_path: Path, zipped: bool) -> None:
    marker = tmp_path / "ran"
    torch.save({"a": torch.ones(2), "evil": Evil(marker)}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    source = WeightFile(tmp_path / "w.pth")
    assert source.stored("a").shape == (2,)
    assert source.stored("evil").dtype == ""
    torch.save(Evil(marker), tmp_path / "v.pth", _use_new_zipfile_serialization=zipped)
    name = str(marker).encode()
    (tmp_path / "u.pth").write_bytes(b"\x80\x02cposix\nmkdir\nX" + struct.pack("<I", len(name)) + name + b"\x85R.")
    for name, what in (("v", "mkdir"), ("u", "torch.save did not write")):
        with pytest.raises(WeightProblem, match=what):
            WeightFile(tmp_path / f"{name}.pth")
    assert not marker.exists()
    torch.load(tmp_path / "v.pth", weights_only=False)
    assert marker.is_dir(), "the file would have run something"


def test_every_cut_of_a_file_is_refused_or_read_as_it_was(tmp_path: Path) -> None:
    """Cut anywhere, or with a byte changed, a file gives WeightProblem or tensors, never another exception."""
    tensors = {"a": torch.randn(3, 2), "b": torch.arange(4)}
    save_file(tensors, tmp_path / "w.safetensors")
    torch.save(tensors, tmp_path / "z.pth")
    torch.save(tensors, tmp_path / "p.pth", _use_new_zipfile_serialization=False)
    random = np.random.default_rng(0)
    refused = 0
    for name in ("w.safetensors", "z.pth", "p.pth"):
        whole = (tmp_path / name).read_bytes()
        cuts = [whole[:at] for at in range(0, len(whole), 1 + len(whole) // 150)]
        for at in random.integers(0, len(whole), 250).tolist():
            cuts.append(whole[:at] + bytes([int(random.integers(256))]) + whole[at + 1 :])
        for data in cuts:
            (tmp_path / "cut").write_bytes(data)
            try:
                source = WeightFile(tmp_path / "cut")
                for key in source.keys():  # noqa: SIM118 - not a dict
                    if source.stored(key).dtype in ("F32", "I64"):
                        source.array(key)
                source.close()
            except WeightProblem:
                refused += 1
        for data in (whole[:-1], whole[: len(whole) // 2]):
            (tmp_path / "cut").write_bytes(data)
            with pytest.raises(WeightProblem):
                WeightFile(tmp_path / "cut")
    assert refused > 400


# ------------------------------------------------------------------------------------------------- damaged and hostile
def safetensors(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape: list[Any], begin: Any, end: Any, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut short"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "cut short"),
        (b'{"metadata": {}, "weight_map": {}}', "a text in JSON"),
        (b"<!DOCTYPE html><html>not found</html>", "cut short"),
        (safetensors(b"[" * 100_000), "Recursion"),
        (safetensors([]), "no dictionary"),
        (safetensors(b'{"a":' + b"\xff}"), "utf-8"),
        (safetensors({"a": 3}), "TypeError"),
        (safetensors({"a": entry([2], 0, 8)}, bytes(7)), "place of a"),
        (safetensors({"a": entry([2], 0, 8)}, bytes(9)), "1 bytes more"),
        (safetensors({"a": entry([3], 0, 8)}, bytes(8)), "not \\[3\\] of F32"),
        (safetensors({"a": entry([2], 0, 8), "b": entry([1], 4, 8)}, bytes(8)), "place of b"),
        (safetensors({"a": entry([1], 4, 8)}, bytes(8)), "place of a"),
        (safetensors({"a": entry([-2], 0, 8)}, bytes(8)), "no sense"),
        (safetensors({"a": entry(["2"], 0, 8)}, bytes(8)), "no sense"),
        (safetensors({"a": entry([True], 0, 4)}, bytes(4)), "no sense"),
        (safetensors({"a": entry([2**70], 0, 8)}, bytes(8)), "no sense"),
        (safetensors({"a": entry([1] * 1000, 0, 4)}, bytes(4)), "place of a"),
        (safetensors(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":3}', bytes(4)), "twice"),
        (safetensors({"a\x1b[31m": entry([3], 0, 8)}, bytes(8)), "a\N{REPLACEMENT CHARACTER}\\[31m"),
    ],
)
def test_a_safetensors_file_that_cannot_be_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightProblem, match=message) as caught:
        WeightFile(path)
    assert caught.value.code == "bad-weights"
    assert "\x1b" not in caught.value.message


def archive(path: Path, index: bytes, method: int = zipfile.ZIP_STORED, **others: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("archive/data.pkl", index)
        for name, data in others.items():
            file.writestr(f"archive/{name.replace('__', '/')}", data)
    return path


def index_of(tensors: Mapping[str, Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save(dict(tensors), buffer)
    with zipfile.ZipFile(buffer) as file:
        return file.read(next(each for each in file.namelist() if each.endswith("data.pkl")))


def test_archives_that_torch_never_writes_are_refused(tmp_path: Path) -> None:
    index = index_of({"a": torch.ones(1000)})
    good = archive(tmp_path / "w.pth", index, data__0=bytes(4000))
    assert WeightFile(good).stored("a").shape == (1000,)
    cases = {
        "compressed": archive(tmp_path / "a.pth", index, zipfile.ZIP_DEFLATED, data__0=bytes(4000)),
        "a are cut short": archive(tmp_path / "b.pth", index, data__0=bytes(3999)),
        "no archive/data/0": archive(tmp_path / "c.pth", index),
        "other order of bytes": archive(tmp_path / "d.pth", index, byteorder=b"big", data__0=bytes(4000)),
        "its index has": archive(tmp_path / "e.pth", bytes(5 << 20), data__0=bytes(4000)),
        "its index": archive(tmp_path / "f.pth", b"\x80\x02}q\x00h\x07.", data__0=bytes(4000)),
    }
    with zipfile.ZipFile(tmp_path / "g.pth", "w") as file:
        file.writestr("model.txt", "x")
    cases["no data.pkl"] = tmp_path / "g.pth"
    for message, path in cases.items():
        with pytest.raises(WeightProblem, match=message):
            WeightFile(path)


def test_a_file_that_claims_to_be_huge_takes_no_memory(tmp_path: Path) -> None:
    """A bomb of zeros, a header and a pickle of the largest length: refused, in a process that may not grow by 1 GiB."""
    archive(tmp_path / "bomb.pth", index_of({"a": torch.ones(4)}), zipfile.ZIP_DEFLATED, data__0=bytes(200 << 20))
    with open(tmp_path / "header.safetensors", "wb") as file:
        file.write(struct.pack("<Q", 2**34))
        file.truncate(2**34 + 8)
    with open(tmp_path / "long.pth", "wb") as file:
        file.write(b"\x80\x02B\xff\xff\xff\x7f")
        file.truncate(2**33)
    (tmp_path / "deep.safetensors").write_bytes(safetensors(b'{"a":' + b"[" * (15 << 20)))
    (tmp_path / "lists.pth").write_bytes(b"\x80\x02(" + b"]" * (3 << 20) + b"t.")
    code = (
        "import sys\nfrom specc.backends.weight_files import WeightFile, WeightProblem\n"
        "for path in sys.argv[1:]:\n    try:\n        WeightFile(path)\n    except WeightProblem as problem:\n"
        "        print(problem.code)\n"
    )
    paths = [str(each) for each in sorted(tmp_path.iterdir())]

    import resource

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    ran = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, preexec_fn=small)
    assert ran.stdout.split() == ["bad-weights"] * 5, ran.stderr


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "folder.pth").mkdir()
    for name, code, message in (
        ("none.safetensors", "missing-weights", "there is no file"),
        ("folder.pth", "bad-weights", "is a folder"),
        ("pipe.safetensors", "bad-weights", "not an ordinary file"),
        ("folder.pth/../none/x.pth", "missing-weights", "there is no file"),
        ("a\0b.pth", "bad-weights", "is not a path"),
    ):
        with pytest.raises(WeightProblem, match=message) as caught:
            WeightFile(tmp_path / name)
        assert caught.value.code == code


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "w.safetensors")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(WeightProblem, match="permission denied") as caught:
        WeightFile(tmp_path / "w.safetensors")
    assert caught.value.code == "bad-weights"


# ---------------------------------------------------------------------------------------------- network against file
def held(tensors: Mapping[str, Tensor], folder: Path, network: str = NET, **options: Any) -> Matched:
    save_file(dict(tensors), folder / "h.safetensors")
    return match(model_of(network), WeightFile(folder / "h.safetensors"), **options)


def test_everything_that_differs_is_reported_with_the_nearest_names(tmp_path: Path) -> None:
    given = backbone()
    given["norm1.running_men"] = given.pop("norm1.running_mean")
    given["conv1.weight"] = torch.zeros(4, 3, 3, 3)
    given["conv1.bias"] = torch.zeros(4, dtype=torch.int64)
    save_file(given, tmp_path / "w.safetensors")
    ((severity, code, place, message),) = said(tmp_path, 'weights "w.safetensors", into=backbone')
    assert (severity, code, place) == ("error", "weights-differ", '"w.safetensors"')
    assert (
        "w.safetensors does not hold the weights of Net: 1 missing, 3 unexpected, 1 of another shape, 1 of another type"
        in message
    )
    assert "`backbone.norm1.running_mean` [4] is missing; the file has `norm1.running_men` [4]" in message
    assert "`fc.weight` [3, 4] is in the file and not in the network" in message
    assert "`backbone.conv1.weight` is [4, 3, 3, 3] in the file, [4, 1, 3, 3] in the network" in message
    assert "`backbone.conv1.bias` is stored as I64, the network has float" in message
    with pytest.raises(TrainProblem) as caught:
        begun(tmp_path, 'weights "w.safetensors", into=backbone')
    assert (caught.value.code, caught.value.message) == ("weights-differ", message)


@pytest.mark.parametrize("form", ["safetensors", "zip", "pickles"])
def test_a_backbone_goes_below_its_path_and_the_head_stays_fresh(tmp_path: Path, form: str) -> None:
    given = backbone()
    if form == "safetensors":
        save_file(given, tmp_path / "w")
    else:
        torch.save(given, tmp_path / "w", _use_new_zipfile_serialization=form == "zip")
    assert said(tmp_path, 'weights "w", into=backbone, except=fc') == []
    fresh, kept = begun(tmp_path, ""), begun(tmp_path, 'weights "w", into=backbone, except=fc')
    for key, tensor in kept.items():
        name = key.removeprefix("backbone.")
        assert torch.equal(tensor, given[name] if name != key else fresh[key]), key
    assert not torch.equal(fresh["backbone.conv1.weight"], kept["backbone.conv1.weight"])
    other = begun(tmp_path, 'weights "w", into=backbone, except=[backbone.fc, norm1, backbone.conv1.bias]')
    taken = {key for key in other if torch.equal(other[key], kept[key]) and not torch.equal(other[key], fresh[key])}
    assert taken == {"backbone.conv1.weight"}
    log = (tmp_path / "runs" / "Net" / "2" / "log.txt").read_text()
    assert "7 tensors from w; as they start: fc.weight, fc.bias" in log


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ('weights "w.safetensors", into=bakbone', "bakbone", "no weights of Net lie below `bakbone`"),
        ('weights "none.safetensors", into=fc.weight', "fc.weight", "no weights of Net lie below"),
        ('weights "w.safetensors", into=backbone, except=[fc, fb]', "[fc, fb]", "`fb` names no weights"),
    ],
)
def test_paths_that_name_nothing_are_errors(tmp_path: Path, line: str, place: str, message: str) -> None:
    save_file(backbone(), tmp_path / "w.safetensors")
    found = [each for each in said(tmp_path, line) if each[0] == "error"]
    assert [(each[1], each[2]) for each in found] == [("weights-differ", place)]
    assert message in found[0][3]
    with pytest.raises(TrainProblem):
        begun(tmp_path, line)


def test_the_help_says_which_part_or_what_to_leave_out(tmp_path: Path) -> None:
    def helped(tensors: Mapping[str, Tensor], **options: Any) -> str:
        save_file(dict(tensors), tmp_path / "h.safetensors")
        source, model = WeightFile(tmp_path / "h.safetensors"), model_of(NET)
        return report(model, source, match(model, source, **options), settings=True).help

    given = backbone()
    assert helped(given).endswith("into=backbone")
    assert helped(given, into="backbone").endswith("except=fc")
    whole = {f"backbone.{key}": each for key, each in given.items() if not key.startswith("fc")}
    whole |= {"fc.weight": torch.zeros(3, 4), "fc.bias": torch.zeros(3)}
    assert helped(whole).endswith("except=fc")
    assert "begins with `model.`" in helped({f"model.{key}": each for key, each in whole.items()})


def test_of_tied_keys_one_is_enough_and_two_must_agree(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = model_of(TIED)
    first, second = (each.key for each in model.weights)
    assert next(each.tied for each in model.weights if each.key == second) == first
    table, zeros = torch.randn(7, 4), torch.zeros(7, 4)
    for key in (first, second):
        assert dict(held({key: table}, tmp_path, TIED).places) == {first: key, second: key}
    assert [each.kind for each in held({"other": table}, tmp_path, TIED).faults] == ["missing", "missing", "unexpected"]
    untied = TIED.replace(", weight=wte.weight", "")
    assert [each.path for each in held({first: table}, tmp_path, untied).faults] == [second]

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wte = nn.Embedding(7, 4)
            self.linear1 = nn.Linear(4, 7, bias=False)
            self.linear1.weight = self.wte.weight

    save_model(Module(), str(tmp_path / "m.safetensors"))  # which stores the tensor once
    source = WeightFile(tmp_path / "m.safetensors")
    assert len(source.keys()) == 1
    assert match(model, source).faults == ()
    (tmp_path / "tied.net").write_text(TIED)
    for tensors, code in (({first: table, second: table.clone()}, 0), ({first: table, second: zeros}, 1)):
        save_file(tensors, tmp_path / "t.safetensors")
        command = ["export", tmp_path / "tied.net", "--weights", tmp_path / "t.safetensors", "-o", tmp_path / "t.onnx"]
        assert main([*map(str, command), "--no-proof"]) == code
    assert "are one tensor in the network and differ in the file" in capfd.readouterr().err


def test_a_count_of_batches_may_be_missing(tmp_path: Path) -> None:
    given = {f"backbone.{key}": each for key, each in backbone().items() if not key.startswith("fc")}
    given |= {"fc.weight": torch.zeros(10, 4), "fc.bias": torch.zeros(10)}
    assert given.pop("backbone.norm1.num_batches_tracked") is not None
    save_file(given, tmp_path / "w.safetensors")
    assert begun(tmp_path, 'weights "w.safetensors"')["backbone.norm1.num_batches_tracked"] == 0
    (tmp_path / "n.net").write_text(NET)
    command = ["export", tmp_path / "n.net", "--weights", tmp_path / "w.safetensors", "-o", tmp_path / "n.onnx"]
    assert main([*map(str, command)]) == 0
    given.pop("backbone.norm1.running_var")
    assert [each.path for each in held(given, tmp_path).faults] == ["backbone.norm1.running_var"]


@pytest.mark.parametrize(
    ("dtype", "name"), [(torch.float16, "F16"), (torch.bfloat16, "BF16"), (torch.float64, "F64"), (torch.float32, "")]
)
def test_other_floats_are_read_as_float32_with_a_note(tmp_path: Path, dtype: torch.dtype, name: str) -> None:
    given = {key: each.to(dtype) if each.is_floating_point() else each for key, each in backbone().items()}
    save_file(given, tmp_path / "w.safetensors")
    found = said(tmp_path, 'weights "w.safetensors", into=backbone, except=fc')
    assert [each[:3] for each in found] == ([("note", "weights-read", '"w.safetensors"')] if name else [])
    assert all(f"6 tensors of w.safetensors are {name}, read as float32" in each[3] for each in found)
    kept = begun(tmp_path, 'weights "w.safetensors", into=backbone, except=fc')
    assert torch.equal(kept["backbone.conv1.weight"], given["conv1.weight"].float())


@pytest.mark.parametrize(
    ("dtype", "name"),
    [(torch.float8_e4m3fn, "F8_E4M3"), (torch.complex64, "C64"), (torch.int32, "I32"), (torch.bool, "BOOL")],
)
def test_numbers_of_another_kind_are_refused(tmp_path: Path, dtype: torch.dtype, name: str) -> None:
    save_file({**backbone(), "conv1.bias": torch.zeros(4).to(dtype)}, tmp_path / "w.safetensors")
    ((_, code, _, message),) = said(tmp_path, 'weights "w.safetensors", into=backbone, except=fc')
    assert code == "weights-differ"
    assert f"`backbone.conv1.bias` is stored as {name}, the network has float" in message


def test_a_frozen_norm_keeps_its_weights_and_its_statistics(tmp_path: Path) -> None:
    network = NET.replace("batchnorm", "batchnorm(trainable=false)")
    given = backbone()
    given["norm1.weight"] = torch.full((4,), 2.0)
    save_file(given, tmp_path / "w.safetensors")
    line = "train { data digits; loss cross_entropy; epochs 1; regularize l2(0.1, on=all); LINE }\n"
    found = compile_text(network + line.replace("LINE", 'weights "w.safetensors", into=backbone, except=fc'), "a.net")
    run = train(found, out_root=tmp_path / "runs", project=tmp_path, device="cpu")
    after = load_file(run.weights)
    assert torch.equal(after["backbone.norm1.weight"], given["norm1.weight"])
    assert torch.equal(after["backbone.norm1.bias"], given["norm1.bias"])
    assert not torch.equal(after["backbone.conv1.weight"], given["conv1.weight"])
    assert torch.equal(after["backbone.norm1.running_mean"], given["norm1.running_mean"])


def test_a_checkpoint_around_the_weights_is_understood_and_said(tmp_path: Path) -> None:
    given = backbone()
    wrapped = {"epoch": 3, "state_dict": {f"module.{key}": each for key, each in given.items()}, "args": {"lr": 0.1}}
    torch.save(wrapped, tmp_path / "w.pth")
    ((severity, code, _, message),) = said(tmp_path, 'weights "w.pth", into=backbone, except=fc')
    assert (severity, code) == ("note", "weights-read")
    assert "those under `state_dict` in w.pth" in message
    assert "`module.` before every key of w.pth is left away" in message
    kept = begun(tmp_path, 'weights "w.pth", into=backbone, except=fc')
    assert torch.equal(kept["backbone.conv1.weight"], given["conv1.weight"])


def test_what_is_no_tensor_in_a_state_dict_is_not_passed_over(tmp_path: Path) -> None:
    torch.save({**backbone(), "epoch": 3}, tmp_path / "w.pth")
    ((_, code, _, message),) = said(tmp_path, 'weights "w.pth", into=backbone, except=fc')
    assert code == "weights-differ"
    assert "`epoch` (no tensor) is in the file and not in the network" in message
    assert said(tmp_path, 'weights "w.pth", into=backbone, except=[fc, epoch]') == []


def test_check_is_quick_and_imports_no_torch(tmp_path: Path) -> None:
    torch.save(backbone(), tmp_path / "w.pth")
    line = 'weights "w.pth", into=backbone'
    (tmp_path / "a.net").write_text(NET + SETTINGS.replace("LINE", line))
    code = (
        "import sys\nfrom specc.tools.cli import main\ncode = main(['check', 'a.net'])\n"
        "print(code, [name for name in ('torch', 'numpy', 'onnx', 'safetensors') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "1 []"
    assert (
        "  |                                                          ^^^^^^^" in ran.stderr or "^^^^^^^" in ran.stderr
    )
    assert "a.net:12:" in ran.stderr


# ---------------------------------------------------------------------------------------------------------- commands
Specc = Callable[..., tuple[int, str]]


@pytest.fixture
def specc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Specc:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        return code, "".join(capfd.readouterr())

    return run


@pytest.mark.parametrize("proof", [(), ("--no-proof",)])
@pytest.mark.parametrize("form", ["safetensors", "zip", "pickles"])
def test_export_takes_every_form(tmp_path: Path, specc: Specc, form: str, proof: tuple[str, ...]) -> None:
    module = nn.Sequential(OrderedDict(hidden=nn.Linear(4, 8), fc=nn.Linear(8, 3)))
    (tmp_path / "n.net").write_text("network N { input x: [4]; hidden: linear(8); fc: linear(3) }\n")
    state = {key: each.half() for key, each in module.state_dict().items()}
    if form == "safetensors":
        save_file(state, tmp_path / "w")
    else:
        torch.save(state, tmp_path / "w", _use_new_zipfile_serialization=form == "zip")
    code, text = specc("export", "n.net", "--weights", "w", "-o", "n.onnx", *proof)
    assert code == 0, text
    assert "note: 4 tensors of w are F16, read as float32" in text
    import onnxruntime

    x = torch.randn(5, 4)
    session = onnxruntime.InferenceSession("n.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x.numpy()})
    module.load_state_dict({key: each.float() for key, each in state.items()})
    np.testing.assert_allclose(found, module(x).detach().numpy(), rtol=1e-4, atol=1e-5)
    code, text = specc("verify", "n.onnx")
    assert code == 0, text


def test_export_reports_as_check_and_train_do(tmp_path: Path, specc: Specc) -> None:
    (tmp_path / "n.net").write_text(NET + SETTINGS.replace("LINE", 'weights "w.safetensors"'))
    given = {f"backbone.{key}": each for key, each in backbone().items() if not key.startswith("fc")}
    save_file(given | {"fc.weight": torch.zeros(3, 4), "fc.bias": torch.zeros(3)}, tmp_path / "w.safetensors")
    seen = [specc("check", "n.net"), specc("train", "n.net")]
    seen.append(specc("export", "n.net", "--weights", "w.safetensors", "-o", "n.onnx"))
    for code, text in seen:
        assert code == 1
        assert "error[weights-differ]: w.safetensors does not hold the weights of Net: 2 of another shape" in text
        assert "`fc.weight` is [3, 4] in the file, [10, 4] in the network" in text
    assert not Path("n.onnx").exists()
    for name, slug in (("none", "missing-weights"), (".", "bad-weights"), ("n.net", "bad-weights")):
        code, text = specc("export", "n.net", "--weights", name, "-o", "n.onnx")
        assert code == 2
        assert f"error[{slug}]" in text


def test_a_run_goes_on_without_the_file_that_it_started_from(tmp_path: Path) -> None:
    """Resuming and evaluating need the run alone."""
    from specc.train.evaluate import evaluate

    save_file(backbone(), tmp_path / "w.safetensors")
    line = SETTINGS.replace("epochs 0; LINE", 'epochs 2; weights "w.safetensors", into=backbone, except=fc')
    found = compile_text(NET + line, "a.net")
    asked = iter(range(10**6))
    run = train(found, out_root=tmp_path / "runs", project=tmp_path, device="cpu", stop=lambda: next(asked) > 50)
    assert run.interrupted
    (tmp_path / "w.safetensors").unlink()
    done = train(None, resume=run.folder, device="cpu")
    assert done.status == "finished"
    assert evaluate(done.folder, device="cpu") == done.results


# ------------------------------------------------------------------------------------------------------ transfer
def test_the_transfer_in_the_documentation(tmp_path: Path, specc: Specc) -> None:
    """docs/training.md: train digits.net, then tuned.net starts from its convolution, keeps it, and learns a head."""
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    for name in ("digits.net", "tuned.net"):
        found = re.search(rf"^```net {re.escape(name)}\n(.*?)^```$", page, re.M | re.S)
        assert found is not None
        (tmp_path / name).write_text(found[1])
    code, text = specc("check", "tuned.net")
    assert code == 0
    assert "note[missing-weights]" in text
    assert specc("train", "tuned.net")[0] == 2
    assert specc("train", "digits.net", "--set", "epochs=3")[0] == 0
    code, text = specc("check", "tuned.net")
    assert code == 0
    assert "weights" not in text
    code, text = specc("train", "tuned.net")
    assert code == 0, text
    assert (
        "weights: 2 tensors from best.safetensors; as they start: hidden.weight, hidden.bias, fc.weight, fc.bias"
        in text
    )
    before, run = load_file(Path("runs/Digits/1/best.safetensors")), Run.load("runs/Tuned/1")
    first, after = load_file(run.folder / "last" / "weights.safetensors"), load_file(run.weights)
    assert torch.equal(after["backbone.conv1.weight"], before["conv1.weight"])
    assert torch.equal(after["backbone.conv1.bias"], before["conv1.bias"])
    assert torch.equal(first["backbone.conv1.weight"], before["conv1.weight"])
    assert run.results["accuracy"] > 0.5
    optimizer = load_file(run.folder / "last" / "optimizer.safetensors")
    assert {key.partition(".")[0] for key in optimizer} == {"0", "1", "2", "3"}, "the frozen layer has no state"
