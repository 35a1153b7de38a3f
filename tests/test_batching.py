"""Batches: of like size, with padding that the network is told about, and with every class as often as any other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from volumes import cases

from specc.compiler import Compilation, compile_text
from specc.data.batching import Batching, alike, cut
from specc.data.named import check_data
from specc.train.program import samples
from specc.train.samples import Samples
from specc.train.training import train

CPU = torch.device("cpu")
PICTURE = "network Net { input image: [1, H, W]; conv(4, 3, padding=1); relu; global_avgpool; linear(2); softmax }\n"
MASKED = """network Net {
    input image: [1, H, W]
    input valid: KIND
    image -> conv(4, 3, padding=1) -> relu -> global_avgpool -> linear(2) -> softmax
}
"""
LONG = """network Net {
    input image: [1, H, W]
    input n: int []
    flow: image -> rearrange("c h w -> h (c w)")
    flow -> lstm(3, lengths=n)
}
"""
VOLUME = "network Net { input scan: [2, D, H, W]; conv(2, 1); softmax }\n"
CASES = 'data volumes("stroke", channels=["adc", "cbf"], mask="lesion"); loss cross_entropy'
ROW = "network Net { input x: [3]; linear(3); softmax }\n"


def compiled(settings: str, network: str) -> Compilation:
    found = compile_text(f"{network}train {{ {settings} }}\n", "a.net")
    assert found.ok, [each.message for each in found.bag]
    return found


def loaded(folder: Path, settings: str, network: str) -> Samples:
    found = compiled(settings, network)
    return samples(found.model(), next(iter(found.programs.values())), folder, CPU, 0)


def said(settings: str, folder: Path, network: str) -> list[tuple[str, str]]:
    found = compiled(settings, network)
    diagnostics = check_data(found.model(), next(iter(found.programs.values())), folder)
    return [(each.code, each.span.text if each.span else "") for each in diagnostics]


def pictures(folder: Path, count: int = 40) -> dict[str, tuple[int, int]]:
    """Pictures of random sizes in two classes; the sizes by name."""
    chance = np.random.default_rng(3)
    found = {}
    for kind in ("dark", "light"):
        (folder / "p" / kind).mkdir(parents=True)
        for at in range(count // 2):
            size = tuple(chance.integers(3, 13, 2).tolist())
            found[f"{kind}/{at}.png"] = size
            Image.fromarray(chance.integers(1, 256, size, dtype=np.uint8)).save(folder / "p" / kind / f"{at}.png")
    return found


DATA = 'data images("p"); loss cross_entropy'


# --- like sizes ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("width", [1, 4, 100])
def test_samples_of_a_batch_are_of_like_size(tmp_path: Path, width: int):
    """Every training sample once an epoch; the order is another one in the next, and the same again for the seed."""
    pictures(tmp_path)
    found = loaded(tmp_path, f"{DATA}; batch 5, bucket={width}", PICTURE)
    sizes = np.array([found.feed.dataset.places(at) for at in range(40)])  # type: ignore[attr-defined]
    one, other = found.batches(0), found.batches(1)
    for dealt in (one, other):
        assert sorted(np.concatenate(dealt).tolist()) == found.parts.train.tolist()
        assert len(dealt) == found.steps
        for indices in dealt:
            assert len({tuple(each) for each in -(-sizes[indices] // width)}) == 1
            assert len(indices) <= 6
    again = loaded(tmp_path, f"{DATA}; batch 5, bucket={width}", PICTURE).batches(0)
    assert [each.tolist() for each in one] == [each.tolist() for each in again]
    assert [each.tolist() for each in one] != [each.tolist() for each in other]
    if width == 4:  # batches of one kind do not stand together
        kinds = alike(sizes.tolist(), 4)
        runs = [int(kinds[each[0]]) for each in one]
        assert runs != sorted(runs)
    for indices in one:
        inputs, _ = found.batch(indices, 0)
        assert inputs["image"].shape[2:] == tuple(sizes[indices].max(0))
    held = [target for _, target in found.feed.batches(found.parts.train, 3)]
    labels = found.feed.dataset.labels()
    assert labels is not None
    assert torch.cat(held).tolist() == labels[found.feed.ordered(found.parts.train)].tolist()


def test_sizes_count_as_they_are_after_prepare(tmp_path: Path):
    pictures(tmp_path)
    found = loaded(tmp_path, f"{DATA}; batch 5, bucket=1; prepare resize(6)", PICTURE)
    assert found.steps == len(cut(found.parts.train, 5))
    assert found.batch(found.batches(0)[0], 0)[0]["image"].shape[1:] == (1, 6, 6)


def test_volumes_of_one_size_need_no_padding_and_others_a_class_that_is_ignored(tmp_path: Path):
    cases(tmp_path / "stroke", [(4, 5, 3), (3, 4, 4)] * 6 + [(4, 5, 4)] * 2)
    found = loaded(tmp_path, f"{CASES}; batch 3, bucket=1", VOLUME)
    for indices in found.batches(0):
        _, mask = found.batch(indices, 0)
        assert set(mask.unique().tolist()) <= {0, 1}
    assert said(f"{CASES}; batch 3, bucket=1", tmp_path, VOLUME) == []
    assert said(f"{CASES}; batch 3, bucket=4", tmp_path, VOLUME) == [("setting-conflict", "cross_entropy")]
    run = train(
        compiled(f"{CASES.replace('entropy', 'entropy(ignore=255)')}; batch 3, bucket=8; epochs 2", VOLUME),
        out_root=tmp_path / "runs", project=tmp_path, device="cpu",
    )  # fmt: skip
    assert run.status == "finished"


# --- what tells of padding ----------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["bool [H, W]", "[1, H, W]", "int [H, W]", "bool [W]"])
def test_a_mask_says_where_a_sample_is(tmp_path: Path, kind: str):
    """Pictures have no pixel of 0, so what is 0 is padding; also where all are of one size and kept."""
    pictures(tmp_path)
    network = MASKED.replace("KIND", kind)
    assert said(f"{DATA}; batch 6, pad=0, mask=valid", tmp_path, network) == []
    for more in ("", "; prepare resize(5)"):
        found = loaded(tmp_path, f"{DATA}; batch 6, pad=0, mask=valid{more}", network)
        inputs, _ = found.batch(found.batches(0)[0], 0)
        there = inputs["image"][:, 0] > 0
        want = {"bool [W]": there.any(1), "[1, H, W]": there[:, None]}.get(kind, there)
        assert inputs["valid"].dtype == {"b": torch.bool, "[": torch.float32, "i": torch.int64}[kind[0]]
        assert torch.equal(inputs["valid"].bool(), want)
        assert bool(want.all()) == bool(more)


def test_lengths_say_how_long_a_sample_is(tmp_path: Path):
    sizes = pictures(tmp_path)
    settings = f"{DATA.replace('cross_entropy', 'mse')}; batch 6, pad=0, lengths=n"
    found = compile_text(f"{LONG}train {{ {settings} }}\n", "a.net")
    program = next(iter(found.programs.values()))
    from specc.data.images import Images
    from specc.train.samples import others

    feed = others(found.model(), program, Images(tmp_path / "p"), {}, CPU, 0)
    inputs, _ = feed.batch(np.arange(12))
    assert inputs["n"].tolist() == [sizes[f"dark/{at}.png"][0] for at in sorted(range(20), key=str)[:12]]


def test_a_network_that_is_told_trains_to_the_same_bytes_again(tmp_path: Path):
    pictures(tmp_path, 24)
    found = compiled(
        f"{DATA}; batch 4, bucket=6, mask=valid; epochs 2; metrics accuracy", MASKED.replace("KIND", "[1, H, W]")
    )
    runs = [
        train(found, out_root=tmp_path / out, project=tmp_path, device="cpu", workers=n)
        for out, n in (("a", 0), ("b", 1))
    ]
    assert runs[0].weights.read_bytes() == runs[1].weights.read_bytes()


@pytest.mark.parametrize(
    ("settings", "kind", "found"),
    [
        ("batch 6, pad=0, mask=other", "[H]", [("unknown-name", "other"), ("data-shape", 'images("p")')]),
        ("batch 6, pad=0, mask=valid", "[7]", [("data-shape", "valid")]),
        ("batch 6, pad=0, lengths=valid", "bool [H]", [("data-shape", "valid")]),
        ("batch 6, pad=0, mask=valid; augment flip", "[H, W]", [("setting-conflict", "flip")]),
    ],
)
def test_what_cannot_be_told_is_said(tmp_path: Path, settings: str, kind: str, found: list[tuple[str, str]]):
    pictures(tmp_path, 10)
    assert sorted(said(f"{DATA}; {settings}", tmp_path, MASKED.replace("KIND", kind))) == sorted(found)


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        ("8, mask=valid", "bad-argument"),
        ("8, bucket=1, lengths=valid", "bad-argument"),
        ("8, pad=0, mask=valid, lengths=valid", "bad-argument"),
        ("8, bucket=0", "bad-argument"),
        ("8, bucket=4, sampling=balanced", "setting-conflict"),
        ("8, sampling=often", "unknown-name"),
    ],
)
def test_wrong_calls(batch: str, code: str):
    found = compile_text(f"{PICTURE}train {{ {DATA}; batch {batch} }}\n", "a.net")
    assert [each.code for each in found.bag] == [code]


# --- every class as often as any other ----------------------------------------------------------------------
def uneven(folder: Path, counts: tuple[int, ...] = (150, 40, 10)) -> str:
    kind = np.repeat(np.arange(len(counts)), counts)
    x = np.random.default_rng(0).normal(size=(len(kind), 3)).astype(np.float32)
    np.savez(folder / "u.npz", x=x, kind=kind)
    return 'data arrays("u.npz", target="kind"); loss cross_entropy; split train=0.8'


def test_balanced_draws_take_each_class_equally_often(tmp_path: Path):
    found = loaded(tmp_path, f"{uneven(tmp_path)}; batch 16, sampling=balanced", ROW)
    labels = found.feed.dataset.labels()
    assert labels is not None
    whole = Counter[int]()
    for epoch in range(30):
        dealt = np.concatenate(found.batches(epoch)) % 200
        assert len(dealt) == len(found.parts.train) == 160
        assert set(dealt.tolist()) <= set(found.parts.train.tolist())
        assert sorted(Counter(labels[dealt].tolist()).values()) == [53, 53, 54]
        whole.update(dealt.tolist())
    for kind, members in ((0, 120), (1, 32), (2, 8)):  # each sample of a class as often as any other
        often = np.array([whole[at] for at in found.parts.train if labels[at] == kind])
        assert len(often) == members
        expected = 30 * 160 / 3 / members
        assert ((often - expected) ** 2 / expected).sum() < members + 4 * np.sqrt(2 * members)  # chi-squared
    again = loaded(tmp_path, f"{uneven(tmp_path)}; batch 16, sampling=balanced", ROW)
    assert [each.tolist() for each in found.batches(3)] == [each.tolist() for each in again.batches(3)]
    assert [len(each) for each in found.batches(3)] == [16] * 10


def test_a_sample_that_is_drawn_again_is_changed_anew(tmp_path: Path):
    """The same numbers behind it, another noise; the first time as without being drawn again."""
    settings = f"{uneven(tmp_path)}; batch 160, sampling=balanced; augment noise(0.1)"
    found = loaded(tmp_path, settings, ROW)
    (dealt,) = found.batches(0)
    plain, target = found.feed.batch(dealt)
    noisy, again = found.batch(dealt, 0)
    assert torch.equal(target, again)
    assert 0.05 < (noisy["x"] - plain["x"]).std() < 0.15
    rare = [at for at in range(160) if dealt[at] % 200 == dealt[-1] % 200]
    noises = (noisy["x"] - plain["x"])[rare]
    assert len(rare) == len({tuple(each) for each in noises.tolist()})
    first = dealt[dealt < 200][:5]
    shuffled = loaded(tmp_path, settings.replace(", sampling=balanced", ""), ROW)
    assert torch.equal(found.batch(first, 0)[0]["x"], shuffled.batch(first, 0)[0]["x"])


def test_balance_is_of_classes_of_samples(tmp_path: Path):
    cases(tmp_path / "stroke", [(4, 5, 3)] * 10)
    assert said(f"{CASES}; batch 2, sampling=balanced", tmp_path, VOLUME) == [("setting-conflict", "balanced")]
    row = "network Net { input features: [10]; linear(1) }\n"
    assert said("data diabetes; loss mse; batch 8, sampling=balanced", tmp_path, row) == [
        ("setting-conflict", "balanced")
    ]


def test_batches_by_brute_force():
    """Against a dictionary of lists, for random kinds."""
    chance = np.random.default_rng(1)
    for _ in range(50):
        count, size = int(chance.integers(1, 60)), int(chance.integers(1, 9))
        train = np.sort(chance.permutation(80)[:count])
        kinds = chance.integers(0, 5, 80)
        by_kind: dict[int, list[int]] = {}
        for at in train.tolist():
            by_kind.setdefault(int(kinds[at]), []).append(at)
        number = sum(
            max(1, -(-len(each) // size) - (len(each) % size == 1 and size > 1 and len(each) > 1))
            for each in by_kind.values()
        )
        made = Batching(train, size, 4, kinds)
        assert made.steps == number
        dealt = made.epoch(2)
        assert len(dealt) == number
        assert sorted(np.concatenate(dealt).tolist()) == train.tolist()
        assert all(len(set(kinds[each].tolist())) == 1 for each in dealt)
