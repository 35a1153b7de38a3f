"""Parts of the data: test parts that come with them, folds, files of folds, groups that stay together, and leaks."""

from __future__ import annotations

import csv
import gzip
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from volumes import cases

from specc.compiler import Compilation, compile_text
from specc.data.cifar import Cifar10
from specc.data.idx import Mnist
from specc.data.named import check_data, source
from specc.data.parting import parted
from specc.data.shares import PARTS
from specc.data.sources import DataProblem, MissingData
from specc.data.splits import Split, grouped
from specc.tools.cli import main
from specc.train.runs import Run

ROW = "network Net { input x: [3]; linear(2); softmax }\n"
PICTURE = "network Net { input image: [1, 4, 5]; flatten; linear(10); softmax }\n"
TABLE = "network Net { input features: [2]; linear(2); softmax }\n"


def compiled(settings: str, network: str = ROW) -> Compilation:
    found = compile_text(f"{network}train {{ loss cross_entropy; {settings} }}\n", "a.net")
    assert found.ok, [each.message for each in found.bag]
    return found


def said(settings: str, folder: Path, network: str = ROW) -> list[tuple[str, str, str]]:
    """Code, message and place of what `check` says of the data."""
    found = compiled(settings, network)
    diagnostics = check_data(found.model(), next(iter(found.programs.values())), folder)
    return [(each.code, each.message, each.span.text if each.span else "") for each in diagnostics]


def parts(settings: str, folder: Path, network: str = ROW) -> Split:
    program = next(iter(compiled(settings, network).programs.values()))
    given = source(program.source, folder)
    return parted(program, given, given.load(), folder)


def people(folder: Path, count: int = 60, alike: int = 4) -> Path:
    """Samples of people, `alike` of each, two classes; all different."""
    chance = np.random.default_rng(0)
    who = np.array([f"p{at // alike}" for at in range(count)])
    np.savez(
        folder / "p.npz", x=chance.normal(size=(count, 3)).astype(np.float32), y=np.arange(count) // 7 % 2, who=who
    )
    return folder / "p.npz"


DATA = 'data arrays("p.npz", target="y")'


# --- MNIST and CIFAR-10 -------------------------------------------------------------------------------------
def idx(path: Path, values: np.ndarray) -> None:
    data = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def mnist(folder: Path, train: int = 30, test: int = 10, end: str = ".gz") -> dict[str, np.ndarray]:
    folder.mkdir(exist_ok=True)
    chance = np.random.default_rng(1)
    made = {}
    for part, count in (("train", train), ("t10k", test)):
        made[f"{part}-images-idx3"] = chance.integers(0, 256, (count, 4, 5), dtype=np.uint8)
        made[f"{part}-labels-idx1"] = (np.arange(count) % 10).astype(np.uint8)
    for name, values in made.items():
        idx(folder / f"{name}-ubyte{end}", values)
    return made


@pytest.mark.parametrize("end", ["", ".gz"])
def test_mnist_and_its_own_test_part(tmp_path: Path, end: str):
    made = mnist(tmp_path / "m", end=end)
    facts, data = Mnist(tmp_path / "m").describe(), Mnist(tmp_path / "m").load()
    assert (facts.count, facts.test, facts.classes, facts.input_shapes) == (40, 10, 10, {"image": (1, 4, 5)})
    whole = np.concatenate([made["train-images-idx3"], made["t10k-images-idx3"]])[:, None]
    assert np.array_equal(data.arrays()[0]["image"], whole.astype(np.float32) / np.float32(255))
    assert data.labels()[30:].tolist() == list(range(10))
    found = parts('data mnist("m"); split validation=0.2', tmp_path, PICTURE)
    assert found.test.tolist() == list(range(30, 40))
    assert (len(found.train), len(found.validation)) == (24, 6)
    assert len(parts('data mnist("m")', tmp_path, PICTURE).validation) == 3
    assert said('data mnist("m")', tmp_path, PICTURE) == []
    ((code, message, at),) = said('data mnist("m"); split test=0.1', tmp_path, PICTURE)
    assert (code, at) == ("setting-conflict", "0.1")
    assert "a test part of their own, of 10 samples" in message
    assert said('data mnist("m"); split kfold(5)', tmp_path, PICTURE)[0][::2] == ("setting-conflict", "kfold(5)")


def test_mnist_trains_and_is_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    mnist(tmp_path / "m")
    Path("a.net").write_text(f'{PICTURE}train {{ data mnist("m"); loss cross_entropy; epochs 2 }}\n')
    assert main(["check", "a.net", "--strict"]) == 0
    assert main(["train", "a.net", "--device", "cpu"]) == 0
    run = Run.load(capfd.readouterr().out.strip().splitlines()[-1])
    assert run.config["data"]["split"] == {"train": 27, "validation": 3, "test": 10}
    assert main(["evaluate", str(run.folder), "--format", "json"]) == 0
    figures = json.loads(capfd.readouterr().out)["figures"]
    assert figures["loss"] == pytest.approx(run.results["loss"], abs=1e-12)


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("name", ["train-images-idx3", "t10k-labels-idx1"])
def test_damaged_files_of_mnist_are_named(tmp_path: Path, name: str, end: str):
    mnist(tmp_path, end=end)
    path = tmp_path / f"{name}-ubyte{end}"
    whole = path.read_bytes()
    for damaged, message in ((whole[:-3], "does not hold"), (b"P5 4 4 255 0000000000", r"not an idx|is damaged")):
        path.write_bytes(damaged)
        with pytest.raises(DataProblem, match=message) as caught:
            Mnist(tmp_path).describe()
        assert caught.value.file == path
    if end:  # the length at the end is right, what is in between is not
        path.write_bytes(whole[:12] + bytes(8) + whole[20:])
        with pytest.raises(DataProblem, match="damaged") as caught:
            Mnist(tmp_path).load()
        assert caught.value.file == path
    path.unlink()
    with pytest.raises(MissingData) as caught:
        Mnist(tmp_path).describe()
    assert caught.value.file is not None
    assert caught.value.file.name == f"{name}-ubyte"


def test_mnist_whose_files_do_not_belong_together(tmp_path: Path):
    mnist(tmp_path)
    idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.zeros(9, np.uint8))
    with pytest.raises(DataProblem, match="9 labels for the 10 pictures"):
        Mnist(tmp_path).describe()
    mnist(tmp_path)
    idx(tmp_path / "t10k-images-idx3-ubyte.gz", np.zeros((10, 5, 5), np.uint8))
    with pytest.raises(DataProblem, match="5 x 5, those that train 4 x 5"):
        Mnist(tmp_path).describe()
    with pytest.raises(MissingData, match="no such folder"):
        Mnist(tmp_path / "none").describe()
    with pytest.raises(DataProblem, match="a file, not a folder"):
        Mnist(tmp_path / "t10k-images-idx3-ubyte.gz").describe()


def cifar(folder: Path, each: int = 4) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    made = np.random.default_rng(2).integers(0, 256, (6 * each, 3073), dtype=np.uint8)
    made[:, 0] = np.arange(len(made)) % 10
    for at in range(6):
        name = f"data_batch_{at + 1}.bin" if at < 5 else "test_batch.bin"
        (folder / name).write_bytes(made[at * each : (at + 1) * each].tobytes())
    return made


def test_cifar_and_its_own_test_part(tmp_path: Path):
    made = cifar(tmp_path)
    facts, data = Cifar10(tmp_path).describe(), Cifar10(tmp_path).load()
    assert (facts.count, facts.test, facts.input_shapes["image"]) == (24, 4, (3, 32, 32))
    assert facts.class_names[6] == "frog"
    assert data.labels().tolist() == made[:, 0].tolist()
    red = made[7, 1 : 1 + 1024].reshape(32, 32)  # red, row by row, comes first
    assert np.array_equal(data.sample(7)[0]["image"][0], red.astype(np.float32) / np.float32(255))


def test_cifar_that_cannot_be_used(tmp_path: Path):
    made = cifar(tmp_path)
    path = tmp_path / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataProblem, match="no multiple of 3,073") as caught:
        Cifar10(tmp_path).describe()
    assert caught.value.file == path
    made[9, 0] = 11
    path.write_bytes(made[8:12].tobytes())
    with pytest.raises(DataProblem, match="picture 1 has the label 11") as caught:
        Cifar10(tmp_path).load()
    assert caught.value.file == path
    path.unlink()
    with pytest.raises(MissingData):
        Cifar10(tmp_path).describe()
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "data_batch_1").write_bytes(b"\x80\x02}q\x01.")
    with pytest.raises(DataProblem, match="pickles can run code") as caught:
        Cifar10(tmp_path / "python").describe()
    assert "cifar-10-binary.tar.gz" in caught.value.help


# --- groups -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together_and_parts_are_near_their_shares(seed: int):
    chance = np.random.default_rng(seed)
    groups = [f"g{each}" for each in chance.integers(0, 40, 300)]
    labels = chance.integers(0, 3, 300)
    found = grouped((0.7, 0.2, 0.1), groups, seed, labels)
    assert np.array_equal(np.sort(np.concatenate([found.train, found.validation, found.test])), np.arange(300))
    held = [{groups[at] for at in part} for part in (found.train, found.validation, found.test)]
    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]
    for part, share in ((found.train, 0.7), (found.validation, 0.2), (found.test, 0.1)):
        assert abs(len(part) - 300 * share) <= 10
    assert grouped((0.7, 0.2, 0.1), groups, seed, labels).sha256 == found.sha256


def test_few_groups_fill_every_part():
    found = grouped((0.8, 0.1, 0.1), ["a", "a", "b", "c"])
    assert [len(found.train), len(found.validation), len(found.test)] == [2, 1, 1]
    assert len(grouped((0.5, 0.0, 0.5), ["a", "b"]).validation) == 0
    with pytest.raises(DataProblem, match="3 parts need as many groups, and there are 2"):
        grouped((0.8, 0.1, 0.1), ["a", "b"])


def test_a_group_by_name(tmp_path: Path):
    people(tmp_path)
    found = parts(f"{DATA}; split train=0.6, validation=0.2, test=0.2, group=who", tmp_path)
    who = np.load(tmp_path / "p.npz")["who"]
    held = [set(who[getattr(found, part)]) for part in PARTS]
    assert [len(each) for each in held] == [9, 3, 3]
    assert len(set().union(*held)) == 15
    assert said(f"{DATA}; split group=who", tmp_path) == []
    ((code, message, at),) = said(f"{DATA}; split group=whom", tmp_path)
    assert (code, at) == ("bad-data", "whom")
    assert "no field 'whom'" in message
    assert said("data digits; split group=who", tmp_path, PICTURE.replace("4, 5", "8, 8"))[0][0] == "bad-data"


def test_a_group_of_a_table_and_of_a_folder(tmp_path: Path):
    lines = [f"{at},{at * at},{'uv'[at // 2 % 2]},p{at // 2}" for at in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,kind,who", *lines]))
    ask = 'data table("t.csv", target="kind", inputs=["a", "b"]); split kfold(4, group=who), fold=2'
    assert said(ask, tmp_path, TABLE) == []
    found = parts(ask, tmp_path, TABLE)
    assert sorted(at // 2 for at in found.test) == sorted(2 * [int(at) // 2 for at in found.test[::2]])
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for at in range(6):
            Image.fromarray(np.full((4, 5), 20 * at + len(name), np.uint8)).save(tmp_path / "pets" / name / f"{at}.png")
    ask = 'data images("pets"); split train=0.5, validation=0.25, test=0.25, group=owner'
    two = PICTURE.replace("linear(10)", "linear(2)")
    assert said(ask, tmp_path, two) == [
        ("missing-data", f"{tmp_path / 'pets' / 'samples.csv'}: there is no such file", "owner")
    ]
    rows = [f"{name}/{at}.png,o{at}" for name in ("dog", "cat") for at in range(6)]
    (tmp_path / "pets" / "samples.csv").write_text("\n".join(["sample,owner", *rows]))
    assert said(ask, tmp_path, two) == []
    found = parts(ask, tmp_path, two)
    assert {at % 6 for at in found.train} & {at % 6 for at in found.test} == set()
    for wrong, line in (("dog/9.png,o", 14), ("dog/1.png,o", 14)):
        (tmp_path / "pets" / "samples.csv").write_text("\n".join(["sample,owner", *rows, wrong]))
        with pytest.raises(DataProblem) as caught:
            parts(ask, tmp_path, two)
        assert caught.value.row == line
    (tmp_path / "pets" / "samples.csv").write_text("\n".join(["sample,owner", *rows[1:]]))
    assert "dog/0.png is not in it" in said(ask, tmp_path, two)[0][1]


# --- folds --------------------------------------------------------------------------------------------------
def test_every_sample_is_tested_in_one_fold(tmp_path: Path):
    people(tmp_path)
    tested = [parts(f"{DATA}; split kfold(5), validation=0.25, fold={at}", tmp_path) for at in range(1, 6)]
    assert sorted(at for each in tested for at in each.test) == list(range(60))
    assert [len(each.validation) for each in tested] == [12] * 5
    assert len({each.sha256 for each in tested}) == 5
    labels = np.load(tmp_path / "p.npz")["y"]
    assert all(abs(labels[each.test].sum() - labels.sum() / 5) <= 1 for each in tested)
    assert parts(f"{DATA}; split kfold(5)", tmp_path).sha256 != tested[0].sha256  # another share of validation
    assert parts(f"{DATA}; split kfold(5)", tmp_path).test.tolist() == tested[0].test.tolist()


@pytest.mark.parametrize(
    ("line", "code", "at"),
    [
        ("kfold(1)", "bad-argument", "1"),
        ("kfold(5), fold=6", "bad-argument", "6"),
        ("kfold(5), test=0.1", "setting-conflict", "0.1"),
        ('"folds.csv", train=0.1', "setting-conflict", "0.1"),
        ("kfold(5), group=who", "setting-conflict", "who"),
        ("kfold(5), kfold(6)", "too-many-arguments", "kfold(6)"),
        ("fold=2", "setting-conflict", "2"),
        ("kfould(5)", "unknown-setting", "kfould"),
    ],
)
def test_splits_that_contradict_themselves(line: str, code: str, at: str):
    found = compile_text(f"{ROW}train {{ {DATA}; loss cross_entropy; split {line} }}\n", "a.net")
    assert [(each.code, each.span.text) for each in found.bag if each.span] == [(code, at)]


def test_shares_are_checked_without_the_data_being_read(tmp_path: Path):
    people(tmp_path)
    ((code, message, _),) = said(f"{DATA}; split train=0.9, validation=0.3", tmp_path)
    assert (code, "do not make a whole" in message) == ("bad-data", True)
    ((code, message, _),) = said(f"{DATA}; split validation=0.001", tmp_path)
    assert (code, "leaves none" in message) == ("bad-data", True)


def test_a_file_of_folds(tmp_path: Path):
    people(tmp_path)
    path = tmp_path / "folds.csv"
    path.write_text("sample,fold\n" + "".join(f"{at},{at // 4 % 3 + 1}\n" for at in range(60)))
    ask = f'{DATA}; split "folds.csv", group=who, validation=0.2, fold=3'
    assert said(ask, tmp_path) == []
    found = parts(ask, tmp_path)
    assert found.test.tolist() == [at for at in range(60) if at // 4 % 3 == 2]
    assert {at // 4 for at in found.train} & {at // 4 for at in found.validation} == set()
    assert "no fold 4" in said(f'{DATA}; split "folds.csv", fold=4', tmp_path)[0][1]
    path.write_text("sample,part\n" + "".join(f"{at},{PARTS[at // 4 % 3]}\n" for at in range(60)))
    found = parts(f'{DATA}; split "folds.csv"', tmp_path)
    assert found.validation.tolist() == [at for at in range(60) if at // 4 % 3 == 1]
    path.write_text("sample,part\n" + "".join(f"{at},{PARTS[at % 3]}\n" for at in range(60)))
    with pytest.raises(DataProblem, match="p0 is in two parts: sample 0 in train, 1 in validation"):
        parts(f'{DATA}; split "folds.csv", group=who', tmp_path)
    assert said(f'{DATA}; split "none.csv"', tmp_path)[0][0] == "missing-data"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("sample,part\n0,train\n0,test\n", 3, "twice"),
        ("sample,part\n0,train\n60,test\n", 3, "no sample 60"),
        ("sample,part\n0,training\n", 2, "no part 'training'"),
        ("sample,fold\n0,0\n", 2, "the fold is '0'"),
        ("sample,fold\n0\n", 2, "1 values where the header has 2"),
        ("sample,where\n0,train\n", 1, "no column part"),
        ("name,part\n0,train\n", 1, "no column sample"),
        ("sample,part\n0,train\n", None, "the sample 1 is not in it"),
    ],
)
def test_a_file_of_folds_that_is_wrong_is_named_with_its_line(
    tmp_path: Path, text: str, line: int | None, message: str
):
    people(tmp_path)
    (tmp_path / "folds.csv").write_text(text)
    with pytest.raises(DataProblem, match=message) as caught:
        parts(f'{DATA}; split "folds.csv"', tmp_path)
    assert (caught.value.file, caught.value.row) == (tmp_path / "folds.csv", line)
    assert said(f'{DATA}; split "folds.csv"', tmp_path)[0][0] == "bad-data"


def test_all_folds_are_trained_and_their_parts_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    people(tmp_path)
    settings = f"{DATA}; loss cross_entropy; split kfold(3, group=who), validation=0.2; epochs 1"
    Path("a.net").write_text(f"{ROW}train {{ {settings} }}\n")
    assert main(["train", "a.net", "--folds", "--device", "cpu"]) == 0
    out, err = capfd.readouterr()
    runs = [Run.load(each) for each in out.split()]
    assert [each.folder.name for each in runs] == ["1", "2", "3"]
    loss = [each.results["loss"] for each in runs]
    assert f"{np.mean(loss):.4f} ± {np.std(loss, ddof=1):.4f}" in err
    tested = []
    for at, run in enumerate(runs, start=1):
        rows = list(csv.DictReader((run.folder / "split.csv").open(encoding="utf-8")))
        tested += [int(row["sample"]) for row in rows if row["part"] == "test"]
        assert f"fold={at}" in run.spec
        # the file of a run is one that `split` takes, and gives the same parts
        same = parts(f'{DATA}; split "{(run.folder / "split.csv").as_posix()}"', tmp_path)
        assert same.sha256 == run.config["data"]["split_sha256"]
        assert main(["evaluate", str(run.folder)]) == 0
    assert sorted(tested) == list(range(60))
    capfd.readouterr()
    Path("b.net").write_text(f"{ROW}train {{ {DATA}; loss cross_entropy }}\n")
    assert main(["train", "b.net", "--folds"]) == 1
    assert "there are no folds" in capfd.readouterr().err


# --- leaks --------------------------------------------------------------------------------------------------
def test_samples_that_are_in_two_parts_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    x[29], x[28], x[20], x[21] = x[0], x[22], x[1], x[2]
    np.savez("p.npz", x=x, y=np.arange(30) % 2)
    Path("folds.csv").write_text(
        "sample,part\n"
        + "".join(f"{at},{'train' if at < 20 else 'validation' if at < 25 else 'test'}\n" for at in range(30))
    )
    Path("a.net").write_text(f'{ROW}train {{ {DATA}; loss cross_entropy; split "folds.csv"; epochs 1 }}\n')
    assert main(["train", "a.net", "--device", "cpu"]) == 0
    out, err = capfd.readouterr()
    run = Run.load(out.strip())
    assert run.config["data"]["notes"] == [
        "2 samples of the validation part are in the training part too, under another name: 20 and 1, 21 and 2",
        "1 sample of the test part is in the training part too, under another name: 29 and 0",
        "1 sample of the test part is in the validation part too, under another name: 28 and 22",
    ]
    for name in ("log.txt", "report.html"):
        assert "29 and 0" in (run.folder / name).read_text(encoding="utf-8")
    assert "data: 1 sample of the test part is in the training part too" in err


def test_pictures_that_are_in_two_parts_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "dog"):
        Path("pets", name).mkdir(parents=True)
        for at in range(4):
            Image.fromarray(np.full((4, 5), 20 * at + len(name) + (name == "dog"), np.uint8)).save(
                f"pets/{name}/{at}.bmp"
            )
    Path("pets/dog/3.bmp").write_bytes(Path("pets/cat/0.bmp").read_bytes())
    kind = ["train", "train", "validation", "train", "train", "train", "validation", "test"]
    rows = [f"{name}/{at}.bmp,{kind[4 * (name == 'dog') + at]}" for name in ("cat", "dog") for at in range(4)]
    Path("folds.csv").write_text("\n".join(["sample,part", *rows]))
    network = PICTURE.replace("linear(10)", "linear(2)")
    Path("a.net").write_text(
        f'{network}train {{ data images("pets"); loss cross_entropy; split "folds.csv"; epochs 1 }}\n'
    )
    assert main(["train", "a.net", "--device", "cpu"]) == 0
    run = Run.load(capfd.readouterr().out.strip())
    assert run.config["data"]["notes"] == [
        "1 sample of the test part is in the training part too, under another name: dog/3.bmp and cat/0.bmp"
    ]


def test_check_reads_headers_without_numpy(tmp_path: Path):
    """What `specc check` does with every kind of source and of split, in a process of its own."""
    mnist(tmp_path / "m")
    cifar(tmp_path / "c")
    people(tmp_path)
    cases(tmp_path / "v", [(4, 4, 4)] * 12)
    (tmp_path / "folds.csv").write_text("sample,fold\n" + "".join(f"{at},{at % 3 + 1}\n" for at in range(60)))
    volume = "network Net { input x: [1, D, H, W]; conv(2, 1); softmax }\n"
    picture = "network Net { input image: [3, 32, 32]; flatten; linear(10); softmax }\n"
    twins = "network Net { input a: [1, 8, 8]; input b: [1, 8, 8]; concat(a, b); flatten; linear(2); softmax }\n"
    specs = [
        (PICTURE, 'data mnist("m"); split validation=0.2; augment flip'),
        (picture, 'data cifar10("c"); augment crop(32, padding=4), mixup(0.2)'),
        (ROW, f"{DATA}; split kfold(5, group=who); prepare normalize(per=volume)"),
        (ROW, f'{DATA}; split "folds.csv", fold=2'),
        (volume, 'data volumes("v", channels=["adc"], mask="lesion"); batch 2'),
        (twins, "data pairs(digits, inputs=[a, b])"),
        (ROW.replace("3", "2", 1), "data synthetic(blobs)"),
    ]
    for at, (network, settings) in enumerate(specs):
        (tmp_path / f"{at}.net").write_text(f"{network}train {{ loss cross_entropy; {settings} }}\n")
    code = f"""
import sys
from specc.tools.cli import main
code = main(["check", "--strict", *({[f"{at}.net" for at in range(len(specs))]!r})])
print(code, [each for each in ("numpy", "PIL", "torch") if each in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout.strip().splitlines()[-1], done.stderr) == ("0 []", "")
