"""The shipped data are the published ones; arrays of the user's own and what can be wrong with them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from specc.data import files
from specc.data.arrays import Arrays
from specc.data.shipped import Shipped, shipped_names
from specc.data.sources import DataProblem, MissingData, Source

# --- shipped data -------------------------------------------------------------------------------------------
# Of scikit-learn 1.9.1's copies: inputs as float32 and the target as int64 (diabetes: float32), SHA-256, and counts.
FIGURES = {
    "digits": (
        (1797, 1, 8, 8),
        "9f578524b6cec1fc",
        "a3c91c262eddcf7b",
        [178, 182, 177, 183, 181, 182, 181, 179, 174, 180],
    ),
    "breast_cancer": ((569, 30), "ace340f3a4f89247", "1763c0f8cd3f454b", [212, 357]),
    "iris": ((150, 4), "2374923a3acd29a6", "734737f111629912", [50, 50, 50]),
    "wine": ((178, 13), "fdd1a162030a8e5b", "b6514e07a6d27854", [59, 71, 48]),
    "diabetes": ((442, 10), "cddb77116cf70a8d", "64c6aa6f4027afae", None),
}


def short_hash(values: np.ndarray) -> str:
    return hashlib.sha256(values.astype(values.dtype.newbyteorder("<")).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("name", FIGURES)
def test_shipped_data_are_the_published_ones(name):
    shape, inputs_hash, target_hash, counts = FIGURES[name]
    source: Source = Shipped(name)
    facts, data = source.describe(), source.load()
    (inputs,), target = data.arrays()[0].values(), data.arrays()[1]
    assert inputs.shape == shape == (facts.count, *next(iter(facts.input_shapes.values())))
    assert inputs.dtype == np.float32
    assert (short_hash(inputs), short_hash(target)) == (inputs_hash, target_hash)
    if counts is None:
        assert (facts.target, facts.target_shape, target.shape) == ("real", (1,), (442, 1))
        assert (float(target.sum()), target.min(), target.max()) == (67243.0, 25.0, 346.0)
        assert np.allclose((inputs.astype(float) ** 2).sum(axis=0), 1)
    else:
        assert np.bincount(data.labels()).tolist() == counts
        assert facts.classes == len(facts.class_names) == len(counts)
    sample, one = data.sample(3)
    assert np.array_equal(next(iter(sample.values())), inputs[3])
    assert one.shape == facts.target_shape
    assert len(data) == facts.count


def test_shipped_data_equal_scikit_learn_where_it_is_installed():
    assert shipped_names() == tuple(FIGURES)
    try:
        from sklearn import datasets
    except ImportError:
        return  # the figures above are its figures
    for name in FIGURES:
        theirs = getattr(datasets, f"load_{name}")()
        ours = Shipped(name).load()
        inputs = next(iter(ours.arrays()[0].values())).reshape(len(ours), -1)
        assert np.array_equal(inputs, (theirs.data / (16 if name == "digits" else 1)).astype(np.float32))
        assert np.array_equal(ours.arrays()[1].ravel(), theirs.target)
        if name != "diabetes":
            assert list(ours.facts.class_names) == [str(each) for each in theirs.target_names]


def test_shipped_data_are_small_and_known_by_name():
    folder = Path(files.__file__).parent / "bundled"
    assert sum(each.stat().st_size for each in folder.iterdir()) < 200_000
    assert Shipped("digits").load().arrays()[0]["image"].max() == 1.0
    with pytest.raises(DataProblem, match="'digit' is not among") as caught:
        Shipped("digit").describe()
    assert "digits" in caught.value.help


def test_describing_imports_no_numpy(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 3), np.float32), y=np.arange(4))
    (tmp_path / "a.csv").write_text("a,b\n1,u\n2,v\n")
    code = f"""
import sys
from pathlib import Path
from specc.data import files, images, sources
from specc.data.arrays import Arrays
from specc.data.shipped import Shipped
from specc.data.tables import Table
Shipped("digits").describe(); Arrays(Path({str(tmp_path / "a.npz")!r}), "y").describe()
Table(Path({str(tmp_path / "a.csv")!r}), "b").describe()
print([each for each in ("numpy", "PIL", "torch") if each in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# --- arrays -------------------------------------------------------------------------------------------------
def saved(path: Path, **fields: np.ndarray) -> Path:
    np.savez_compressed(path, **fields)
    return path


def test_arrays_of_classes(tmp_path):
    x = np.arange(24).reshape(6, 4).astype(np.float64)
    path = saved(tmp_path / "a.npz", x=x, other=np.ones((6, 2), np.uint8), y=np.array([0, 2, 1, 0, 2, 3], np.uint8))
    facts = Arrays(path, "y").describe()
    assert facts.input_shapes == {"x": (4,), "other": (2,)}
    assert facts.dtypes == {"x": "float32", "other": "uint8"}
    assert (facts.target, facts.target_shape, facts.classes, facts.count) == ("class", (), 4, 6)
    data = Arrays(path, "y", {"scan": "x"}).load()
    assert np.array_equal(data.arrays()[0]["scan"], x.astype(np.float32))
    assert data.labels().dtype == np.int64
    assert data.labels().tolist() == [0, 2, 1, 0, 2, 3]


@pytest.mark.parametrize(
    ("y", "target", "shape", "classes"),
    [
        (np.array(["cat", "dog", "ant"]), "class", (), 3),
        (np.array([True, False, True]), "class", (), 2),
        (np.array([-0.5, 1, 2]), "real", (1,), None),
        (np.zeros((3, 5)), "real", (5,), None),
        (np.zeros((3, 1, 8, 8), np.float32), "image", (1, 8, 8), None),
        (np.zeros((3, 8, 8), np.uint8), "classes", (8, 8), None),
        (np.asfortranarray(np.ones((3, 2))), "real", (2,), None),
        (np.array([2, 0, 1], ">i4"), "class", (), None),
    ],
)
def test_kinds_of_target(tmp_path, y, target, shape, classes):
    path = saved(tmp_path / "a.npz", x=np.zeros((3, 2)), y=y)
    facts = Arrays(path, "y").describe()
    assert (facts.target, facts.target_shape, facts.classes) == (target, shape, classes)
    data = Arrays(path, "y").load()
    assert data.sample(1)[1].shape == shape
    loaded = data.arrays()[1].reshape(y.shape)
    if y.dtype.kind == "U":
        assert facts.class_names == ("ant", "cat", "dog")
        assert loaded.tolist() == [1, 2, 0]
    else:
        assert np.array_equal(loaded, y.astype(loaded.dtype))


def test_npy_files(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((5, 1, 4, 4), np.float32))
    np.save(tmp_path / "y.npy", np.arange(5))
    source = Arrays(tmp_path / "x.npy", "y.npy")
    assert (source.describe().input_shapes, source.describe().classes) == ({"x": (1, 4, 4)}, 5)
    assert source.load().sample(2)[0]["x"].shape == (1, 4, 4)
    assert Arrays(tmp_path / "x.npy", "y.npy", {"image": ""}).describe().input_shapes == {"image": (1, 4, 4)}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"x": np.zeros((3, 2))}, "no field 'y'"),
        ({"y": np.zeros(3, int)}, "no field besides"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(4, int)}, "x has 3, y has 4"),
        ({"x": np.array([{}, 1, 2], object), "y": np.zeros(3, int)}, "Python objects"),
        ({"x": np.zeros((3, 2)), "y": np.array([None, 1, 2], object)}, "Python objects"),
        ({"x": np.array(["a", "b"]), "y": np.zeros(2, int)}, "not numbers"),
        ({"x": np.zeros(3, [("a", "f4")]), "y": np.zeros(3, int)}, "not a plain array"),
        ({"x": np.zeros((3, 2)), "y": np.array([0, -1, 2])}, "the class -1"),
        ({"x": np.zeros((3, 2)), "y": np.array([0, 10**9, 2])}, "label 1000000000"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(3, complex)}, "complex128"),
        ({"x": np.float32(1), "y": np.zeros(3, int)}, "a single number"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "no samples"),
    ],
)
def test_wrong_arrays(tmp_path, fields, said):
    path = tmp_path / "a.npz"
    np.savez(path, **fields)
    with pytest.raises(DataProblem, match=said) as caught:
        Arrays(path, "y").describe()
    assert caught.value.file == path


def test_values_that_are_no_numbers_are_found_when_loading(tmp_path):
    x = np.zeros((3, 2))
    x[1, 0] = np.nan
    with pytest.raises(DataProblem, match="input x: sample 1 holds nan"):
        Arrays(saved(tmp_path / "a.npz", x=x, y=np.zeros(3)), "y").load()
    x[1, 0] = 1e300
    with pytest.raises(DataProblem, match="sample 1 holds 1e\\+300"):
        Arrays(saved(tmp_path / "a.npz", x=x, y=np.zeros(3)), "y").load()


def test_damaged_array_files_are_data_problems(tmp_path):
    path = saved(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=(20, 9)), y=np.arange(20) % 3)
    whole = path.read_bytes()
    broken = tmp_path / "b.npz"
    with pytest.raises(MissingData):
        Arrays(broken, "y").describe()
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 4):
            data[at] ^= int(rng.integers(1, 256))
        broken.write_bytes(data[: int(rng.integers(0, len(data)))] if rng.random() < 0.3 else data)
        try:
            Arrays(broken, "y").load()
        except DataProblem:
            refused += 1
    assert refused > 200
    np.save(tmp_path / "x.npy", np.zeros((5, 4)))
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-1])
    np.save(tmp_path / "y.npy", np.zeros(5))
    with pytest.raises(DataProblem, match="cut short"):
        Arrays(tmp_path / "x.npy", "y.npy").describe()
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("x.npy", b"not an array at all")
    with pytest.raises(DataProblem, match="'x' is not a numpy array"):
        Arrays(broken, "y").describe()
