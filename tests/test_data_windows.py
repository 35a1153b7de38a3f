"""Recordings cut into windows: the right numbers, whole recordings in one part, and errors that say what does not fit."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specc.compiler import compile_text
from specc.data.arrays import Arrays
from specc.data.named import source
from specc.data.pairs import Pairs
from specc.data.parting import parted
from specc.data.sources import DataProblem
from specc.tools.cli import main
from specc.train.program import chosen
from specc.train.runs import Run


def saved(folder: Path, **fields: np.ndarray) -> Path:
    np.savez(folder / "r.npz", **fields)
    return folder / "r.npz"


@settings(max_examples=25, deadline=None)
@given(
    data=st.data(),
    count=st.integers(1, 5),
    length=st.integers(1, 12),
    rank=st.integers(1, 4),
    kind=st.sampled_from(["class", "real", "vector", "positions", "signal"]),
)
def test_windows_are_slices(tmp_path_factory: pytest.TempPathFactory, data, count, length, rank, kind):
    """Against plain loops: inputs of 1 to 4 axes (0-D places, 1-D, 2-D, 3-D), every kind of target."""
    size = data.draw(st.integers(1, length))
    stride = data.draw(st.one_of(st.none(), st.integers(1, 5)))
    axis = data.draw(st.one_of(st.none(), st.integers(0, rank - 1)))
    along = min(1, rank - 1) if axis is None else axis
    chance = np.random.default_rng(length)
    shape = [2, 3, 2, 3][:rank]
    shape[along] = length
    x = chance.normal(size=(count, *shape)).astype(np.float32)
    age = chance.normal(size=count).astype(np.float32)
    places = shape[1:] if rank > 1 and along else shape
    y = {
        "class": np.arange(count) % 3,
        "real": chance.normal(size=count),
        "vector": chance.normal(size=(count, length + 1)),
        "positions": chance.integers(0, 3, (count, *(places if along or rank == 1 else (length,)))),
        "signal": chance.normal(size=(count, length)),
    }[kind]
    path = saved(tmp_path_factory.mktemp("w"), x=x, age=age, y=y)
    found = Arrays(path, "y", {"x": "x", "age": "age"}, windows=size, stride=stride, axis=axis)
    dataset = found.load()
    wanted = [
        (recording, start)
        for recording in range(count)
        for start in range(length)
        if start % (stride or size) == 0 and start + size <= length
    ]
    assert len(dataset) == found.describe().count == len(wanted)
    assert found.sample_names() == [f"{recording}:{start}" for recording, start in wanted]
    assert found.describe() == dataset.facts
    arrays = dataset.arrays()
    assert arrays is not None
    for at, (recording, start) in enumerate(wanted):
        inputs, target = dataset.sample(at)
        index: list[object] = [recording, *[slice(None)] * rank]
        index[along + 1] = slice(start, start + size)
        np.testing.assert_array_equal(inputs["x"], x[tuple(index)])
        assert inputs["age"] == age[recording]
        whole = np.asarray(y[recording]).reshape(-1) if kind in ("real", "vector") else np.asarray(y[recording])
        if kind in ("positions", "signal"):
            cut: list[object] = [slice(None)] * whole.ndim
            cut[max(along - 1, 0) if kind == "positions" else 0] = slice(start, start + size)
            whole = whole[tuple(cut)]
        np.testing.assert_array_equal(target, whole.astype(target.dtype))
        for name, each in inputs.items():
            np.testing.assert_array_equal(arrays[0][name][at], each)
        np.testing.assert_array_equal(arrays[1][at], target)
        assert inputs["x"].shape == dataset.facts.input_shapes["x"]
        assert target.shape == dataset.facts.target_shape


def test_a_signal_with_channels_per_place(tmp_path: Path):
    x = np.random.default_rng(0).normal(size=(2, 4, 1, 10)).astype(np.float32)
    y = np.random.default_rng(1).normal(size=(2, 2, 1, 10)).astype(np.float32)
    path = saved(tmp_path, x=x, y=y)
    data = Arrays(path, "y", windows=4, stride=3, axis=2).load()
    assert data.facts.target == "image"
    assert data.facts.target_shape == (2, 1, 4)
    np.testing.assert_array_equal(data.sample(4)[1], y[1, :, :, 3:7])
    np.testing.assert_array_equal(data.sample(4)[0]["x"], x[1, :, :, 3:7])


@pytest.mark.parametrize("split", ["train=0.6, validation=0.2, test=0.2", "kfold(4), validation=0.2, fold=2"])
def test_a_recording_stays_in_one_part(tmp_path: Path, split: str):
    saved(tmp_path, x=np.random.default_rng(0).normal(size=(20, 2, 30)), y=np.arange(20) % 2)
    text = (
        "network Net { input x: [2, 10]; flatten; linear(2) }\n"
        f'train {{ data arrays("r.npz", target="y", windows=10, stride=5); loss cross_entropy; split {split} }}\n'
    )
    _, program = chosen(compile_text(text, "a.net"), "")
    given = source(program.source, tmp_path)
    found = parted(program, given, given.load(), tmp_path)
    parts = [found.train, found.validation, found.test]
    assert sorted(np.concatenate(parts).tolist()) == list(range(100))
    recordings = [set((part // 5).tolist()) for part in parts]
    assert all(recordings)
    assert sum(map(len, recordings)) == 20


def test_a_field_to_group_by_has_a_value_per_window(tmp_path: Path):
    path = saved(tmp_path, x=np.zeros((3, 1, 6)), y=np.arange(3), who=np.array(["a", "b", "a"]))
    found = Arrays(path, "y", {"x": "x"}, windows=3)
    assert found.column("who") == ["a", "a", "b", "b", "a", "a"]
    assert Arrays(path, "y").column("who") == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("fields", "given", "said"),
    [
        ({"x": (3, 2, 8), "y": (3,)}, {"windows": 9}, "windows of 9 are longer than the recordings, which have 8"),
        ({"x": (3, 2, 8), "z": (3, 2, 7), "y": (3,)}, {"windows": 2}, "x has 8, z has 7"),
        ({"x": (3,), "y": (3,)}, {"windows": 2}, "no input has an axis"),
        ({"x": (3, 8), "y": (3,)}, {"windows": 2, "axis": 1}, "input x has 1 axes"),
        ({"x": (3, 2, 8), "y": (3, 7, 7)}, {"windows": 2}, r"the target is \[7, 7\] where the recordings have 8"),
    ],
)
def test_what_cannot_be_cut(tmp_path: Path, fields, given, said):
    arrays = {name: np.zeros(shape, np.int64 if name == "y" else np.float32) for name, shape in fields.items()}
    with pytest.raises(DataProblem, match=said):
        Arrays(saved(tmp_path, **arrays), "y", **given).describe()


@pytest.mark.parametrize("more", ["stride=2", "axis=0", "windows=0", "windows=[2, 2]", "windows=2, stride=0"])
def test_wrong_calls(more: str):
    text = "network Net { input x: [2, 10]; flatten; linear(2) }\n"
    found = compile_text(f'{text}train {{ data arrays("r.npz", target="y", {more}); loss cross_entropy }}\n', "a.net")
    assert not found.ok


def test_pairs_of_windows_are_refused(tmp_path: Path):
    keywords = {"path": saved(tmp_path, x=np.zeros((9, 1, 6)), y=np.arange(9) % 2), "target": "y", "windows": 2}
    with pytest.raises(DataProblem, match="pairs of windows"):
        Pairs("specc.data.arrays:Arrays", keywords, ("a", "b")).load()


def test_windows_train_and_are_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.chdir(tmp_path)
    chance = np.random.default_rng(0)
    x = chance.normal(size=(30, 1, 40)).astype(np.float32)
    saved(tmp_path, x=x, y=(x[:, 0] > 0).astype(np.int64))
    given = 'arrays("r.npz", target="y", windows=16, stride=8)'
    network, fast = "network Net { input x: [1, L]; conv(2, 1) }\n", "optimizer adam(lr=0.05)"
    Path("a.net").write_text(
        f"{network}train {{ data {given}; loss cross_entropy; metrics accuracy; {fast}; epochs 8 }}\n"
    )
    assert main(["check", "a.net"]) == 0
    assert main(["train", "a.net", "--device", "cpu"]) == 0
    run = Run.load(capfd.readouterr().out.strip().splitlines()[-1])
    assert run.results["accuracy"] > 0.9
    with open(run.folder / "split.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30 * 4
    parts = {row["sample"].split(":")[0]: set() for row in rows}
    for row in rows:
        parts[row["sample"].split(":")[0]].add(row["part"])
    assert all(len(each) == 1 for each in parts.values())
    Path("folds.csv").write_bytes((run.folder / "split.csv").read_bytes())
    Path("a.net").write_text(f'{network}train {{ data {given}; loss cross_entropy; split "folds.csv"; epochs 1 }}\n')
    assert main(["train", "a.net", "--device", "cpu"]) == 0
    again = Run.load(capfd.readouterr().out.strip())
    assert again.config["data"]["split_sha256"] == run.config["data"]["split_sha256"]
    assert main(["evaluate", str(run.folder), "--data", given]) == 0
