"""Augmentation: a function of seed, epoch and sample alone, the same in picture and mask, and what each step does."""

from __future__ import annotations

import colorsys
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from volumes import cases

from specc.compiler import Compilation, compile_text
from specc.data.named import check_data
from specc.train.augment import Mixup, _smoothed, generator
from specc.train.program import samples
from specc.train.runs import Run
from specc.train.samples import Samples
from specc.train.training import train

CPU = torch.device("cpu")
FLAT = "network Net { input image: [2, H, W]; conv(2, 1); softmax }\n"
DEEP = "network Net { input image: [2, D, H, W]; conv(2, 1); softmax }\n"
ONE = "network Net { input image: [1, 8, 8]; flatten; linear(10); softmax }\n"
STEPS = [
    "flip", "flip(axes=[height, width])", "crop(5)", "crop([4, 6], padding=2)", "rotate(40)",
    "affine(degrees=10, scale=[0.8, 1.5], shear=10, shift=0.2)", "elastic(alpha=20, sigma=2)", "jitter", "noise(0.3)",
    "cutout(3)", "flip, rotate(10), noise(0.1)", "rotate(20, axes=[width, height])",
]  # fmt: skip


def compiled(settings: str, network: str) -> Compilation:
    found = compile_text(f"{network}train {{ {settings} }}\n", "a.net")
    assert found.ok, [each.message for each in found.bag]
    return found


def loaded(folder: Path, settings: str, network: str) -> Samples:
    found = compiled(settings, network)
    return samples(found.model(), next(iter(found.programs.values())), folder, CPU)


def pictures(folder: Path, size: tuple[int, ...] = (9, 7), count: int = 30) -> str:
    """Pictures of two channels, the second of which is the mask (0 to 3) plus 1, so that both can be compared."""
    chance = np.random.default_rng(0)
    mask = chance.integers(0, 4, (count, *size))
    image = np.stack([chance.normal(size=(count, *size)), mask + 1], axis=1).astype(np.float32)
    np.savez(folder / "p.npz", image=image, mask=mask)
    return 'data arrays("p.npz", target="mask"); loss cross_entropy'


def four(network: str) -> str:
    return network.replace("conv(2, 1)", "conv(4, 1)")


# --- functions of (seed, epoch, sample) ---------------------------------------------------------------------
@pytest.mark.parametrize("steps", STEPS)
def test_a_sample_is_the_same_whatever_its_batch(tmp_path: Path, steps: str):
    """Bit for bit; another epoch, another sample or another seed gives another one."""
    settings = f"{pictures(tmp_path)}; augment {steps}"
    found = loaded(tmp_path, settings, four(FLAT))
    inputs, target = found.batch(np.arange(12), 3)
    for at in (0, 5, 11):
        alone = found.batch(np.array([at]), 3)
        assert torch.equal(alone[0]["image"][0], inputs["image"][at])
        assert torch.equal(alone[1][0], target[at])
    others = [
        found.batch(np.arange(12), 4),
        loaded(tmp_path, f"{settings}; seed 1", four(FLAT)).batch(np.arange(12), 3),
    ]
    for other in others:
        assert not torch.equal(other[0]["image"], inputs["image"])
    plain, _ = found.feed.batch(np.arange(12))
    assert not torch.equal(plain["image"], inputs["image"])
    assert torch.equal(plain["image"], found.feed.batch(np.arange(12))[0]["image"]), "the data must not be changed"


@pytest.mark.parametrize(
    "steps",
    ["flip(axes=[height, width])", "crop(5)", "crop(8, padding=2)", "flip, crop([9, 4])", "flip(axes=2, share=1)"],
)
def test_a_mask_is_moved_as_its_picture_is(tmp_path: Path, steps: str):
    """Where nothing is mixed: the second channel is the mask plus 1, and what comes from outside is 0 in both."""
    found = loaded(tmp_path, f"{pictures(tmp_path)}; augment {steps}", four(FLAT))
    inputs, mask = found.batch(np.arange(30), 0)
    shown = inputs["image"][:, 1]
    inside = shown > 0
    assert mask.dtype == torch.int64
    assert torch.equal(shown[inside].long() - 1, mask[inside])
    assert not mask[~inside].any()
    assert bool((~inside).any()) == ("padding" in steps)


@pytest.mark.parametrize(
    "steps", ["rotate(30)", "affine(scale=[0.7, 1.4], shear=15, shift=0.3)", "elastic(alpha=15, sigma=3)"]
)
def test_a_mask_is_bent_as_its_picture_is(tmp_path: Path, steps: str):
    """A picture that is its own mask: 1 where the class is 1. Bent, it is more than half where the mask is 1."""
    at = np.arange(24)
    inside = (np.abs(at[:, None] - 9) + np.abs(at[None] - 13) < 7)[None].repeat(20, 0)
    np.savez(tmp_path / "p.npz", image=np.stack([inside, inside], 1).astype(np.float32), mask=inside.astype(np.int64))
    settings = f'data arrays("p.npz", target="mask"); loss cross_entropy(ignore=7); augment {steps}'
    inputs, mask = loaded(tmp_path, settings, FLAT).batch(np.arange(20), 0)
    shown = inputs["image"][:, 0]
    clear = (shown - 0.5).abs() > 0.3
    assert clear.float().mean() > 0.85
    known = mask != 7  # what comes from outside is of no class
    assert torch.equal((shown > 0.5)[clear & known].long(), mask[clear & known])
    assert set(mask.unique().tolist()) <= {0, 1, 7}
    assert (mask == 7).any() or "elastic" in steps


def test_volumes_and_their_masks(tmp_path: Path):
    cases(tmp_path / "stroke", [(5, 6, 7)] * 10)
    data = 'data volumes("stroke", channels=["adc", "cbf"], mask="lesion"); loss cross_entropy'
    found = loaded(tmp_path, f"{data}; augment flip(axes=[depth, width]), crop(4)", DEEP)
    inputs, mask = found.batch(np.arange(10), 2)
    assert inputs["image"].shape == (10, 2, 4, 4, 4)
    assert torch.equal((inputs["image"].sum(1) > 210).long(), mask)
    for step in ("rotate(20)", "elastic(alpha=3, sigma=1)", "affine(shift=0.1)", "cutout(2)", "jitter", "noise(1)"):
        inputs, mask = loaded(tmp_path, f"{data}; augment {step}", DEEP).batch(np.arange(3), 0)
        assert inputs["image"].shape == (3, 2, 7, 6, 5)
        assert mask.shape == (3, 7, 6, 5)


# --- what each step does ------------------------------------------------------------------------------------
def augmented(folder: Path, step: str, image: np.ndarray, epoch: int = 0) -> np.ndarray:
    """The pictures [samples, 1, H, W] after a step."""
    np.savez(folder / "q.npz", image=image.astype(np.float32), kind=np.arange(len(image)) % 2)
    network = f"network Net {{ input image: [{image.shape[1]}, H, W]; global_avgpool; linear(2); softmax }}\n"
    found = loaded(folder, f'data arrays("q.npz", target="kind"); loss cross_entropy; augment {step}', network)
    return found.batch(np.arange(len(image)), epoch)[0]["image"].numpy()


def test_flips_happen_half_of_the_time(tmp_path: Path):
    image = np.random.default_rng(0).normal(size=(400, 1, 3, 4)).astype(np.float32)
    found = augmented(tmp_path, "flip(axes=[width, height])", image)
    kinds = [image, image[..., ::-1], image[:, :, ::-1], image[:, :, ::-1, ::-1]]
    which = np.stack([(found == each).all((1, 2, 3)) for each in kinds])
    assert which.sum() == 400
    assert (np.abs(which.sum(1) - 100) < 35).all()


def test_a_turn_is_a_turn(tmp_path: Path):
    """A line through the middle, turned: its pixels lie at the angle, both ways, and no farther than was said."""
    at = np.arange(41) - 20
    image = np.zeros((60, 1, 41, 61))
    image[:, :, 20, 15:46] = 1  # along width
    found = augmented(tmp_path, "rotate(30)", image)
    angles = []
    for one in found[:, 0]:
        across = np.arange(61) - 30
        x, y = np.meshgrid(across, at)
        angles.append(np.degrees(0.5 * np.arctan2(2 * (one * x * y).sum(), (one * (x * x - y * y)).sum())))
    assert max(map(abs, angles)) <= 30.5
    assert min(angles) < -15
    assert max(angles) > 15
    assert np.abs(found.sum((1, 2, 3)) - 31).max() < 1.5, "a turn keeps lengths, though the axes differ"


def test_scale_shift_and_shear(tmp_path: Path):
    image = np.zeros((40, 1, 40, 40))
    image[:, :, 15:25, 15:25] = 1
    area = augmented(tmp_path, "affine(scale=[2, 2])", image).sum((1, 2, 3))
    np.testing.assert_allclose(area, 400, rtol=0.02)
    moved = augmented(tmp_path, "affine(shift=0.2)", image)
    rows = (moved.sum((1, 3)) * np.arange(40)).sum(1) / moved.sum((1, 2, 3)) - 19.5
    assert np.abs(rows).max() <= 8.01
    assert rows.max() > 4
    assert rows.min() < -4
    leaned = augmented(tmp_path, "affine(shear=40)", image)
    np.testing.assert_allclose(leaned.sum((1, 2, 3)), 100, rtol=0.02)
    np.testing.assert_allclose(leaned.sum((1, 3))[:, 16:24], 10, atol=0.3)  # rows slide along each other


def test_jitter_noise_and_cutout(tmp_path: Path):
    image = np.random.default_rng(0).normal(5, 2, (200, 2, 12, 10)).astype(np.float32)
    found = augmented(tmp_path, "jitter(brightness=0.5, contrast=0.3)", image)
    means = (found - image).mean((2, 3))
    assert np.abs(means).max() <= 0.5001
    np.testing.assert_allclose(means[:, 0], means[:, 1], atol=1e-5)
    ratio = found.std((2, 3)) / image.std((2, 3))
    assert (ratio.min() >= 0.6999) & (ratio.max() <= 1.3001) & (ratio.std() > 0.1)
    noise = augmented(tmp_path, "noise(0.25)", image) - image
    assert abs(noise.std() - 0.25) < 0.005
    assert abs(noise.mean()) < 0.005
    holes = augmented(tmp_path, "cutout([4, 3])", image) == 0
    assert (holes[:, 0] == holes[:, 1]).all()
    sizes = holes[:, 0].sum((1, 2))
    assert sizes.max() == 12
    assert sizes.min() >= 2  # at a corner only a part of it lies inside


@pytest.mark.parametrize("axes", ["[height, width]", "[depth, width]", "[height, depth]", "[2, 1]"])
def test_a_volume_is_turned_in_the_plane_that_is_said(tmp_path: Path, axes: str):
    """Against scipy, by the angle that the sample's generator gives; the mask by the nearest voxel."""
    image = np.random.default_rng(0).normal(size=(6, 2, 5, 7, 6)).astype(np.float32)
    np.savez(tmp_path / "p.npz", image=image, mask=(image[:, 0] > 0).astype(np.int64))
    settings = (
        f'data arrays("p.npz", target="mask"); loss cross_entropy; split train=1; augment rotate(50, axes={axes})'
    )
    inputs, mask = loaded(tmp_path, settings, DEEP).batch(np.arange(6), 2)
    names = {"depth": 0, "height": 1, "width": 2, "2": 1, "1": 0}
    first, second = (names[each] for each in axes.strip("[]").split(", "))
    for at in range(6):
        angle = math.radians(float(torch.rand((), generator=generator(0, 2, at))) * 100 - 50)
        matrix = np.eye(3)
        matrix[second, second], matrix[second, first] = math.cos(angle), math.sin(angle)
        matrix[first, second], matrix[first, first] = -math.sin(angle), math.cos(angle)
        middle = (np.array(image.shape[2:]) - 1) / 2
        offset = middle - matrix @ middle
        for channel in range(2):
            want = ndimage.affine_transform(image[at, channel], matrix, offset, order=1, mode="grid-constant")
            np.testing.assert_allclose(inputs["image"][at, channel].numpy(), want, atol=2e-5)
        near = ndimage.affine_transform(
            (image[at, 0] > 0).astype(np.int64), matrix, offset, order=0, mode="grid-constant"
        )
        assert (near == mask[at].numpy()).mean() > 0.99  # where two voxels are as near, either


def test_colours_are_those_of_their_definition(tmp_path: Path):
    """Pixel by pixel with the standard library, also where prepare has scaled and normalised them."""
    image = np.random.default_rng(0).random((8, 3, 5, 4)).astype(np.float32)
    image[0] = 0.4  # grey has no hue
    np.savez(tmp_path / "p.npz", image=image, kind=np.arange(8) % 2)
    network = "network Net { input image: [3, H, W]; global_avgpool; linear(2); softmax }\n"
    data = 'data arrays("p.npz", target="kind"); loss cross_entropy'
    step = "augment jitter(brightness=0, contrast=0, saturation=0.7, hue=0.3)"
    for prepare in ("", "; prepare normalize", "; prepare scale(from=[0, 1], to=[-1, 1]), normalize(per=channel)"):
        found = loaded(tmp_path, f"{data}; {step}{prepare}", network)
        inputs, _ = found.batch(np.arange(8), 1)
        plain, _ = found.feed.batch(np.arange(8))
        shown = inputs["image"].numpy()
        for at in range(8):
            drawn = [float(torch.rand((), generator=chance)) for chance in [generator(0, 1, at)] for _ in range(4)]
            factor, turn = 0.3 + drawn[2] * 1.4, drawn[3] * 0.6 - 0.3
            scale = np.polyfit(image[:, 0].ravel(), plain["image"][:, 0].numpy().ravel(), 1)
            assert np.isfinite(scale).all()
            want = np.empty((3, 5, 4))
            for y in range(5):
                for x in range(4):
                    pixel = image[at, :, y, x].astype(np.float64)
                    grey = pixel @ [0.299, 0.587, 0.114]
                    h, s, v = colorsys.rgb_to_hsv(*np.clip(grey + (pixel - grey) * factor, 0, 1))
                    want[:, y, x] = colorsys.hsv_to_rgb((h + turn) % 1, s, v)
            for channel in range(3):
                a, b = np.polyfit(image[:, channel].ravel(), plain["image"][:, channel].numpy().ravel(), 1)
                np.testing.assert_allclose(shown[at, channel], want[channel] * a + b, atol=2e-5 * max(1, a))


def test_shares_of_a_mixture_are_of_their_distribution():
    """Mean 1/2 and variance 1 / (8 alpha + 4) of Beta(alpha, alpha)."""
    for alpha in (0.2, 1.0, 4.0):
        drawn = np.array([Mixup(alpha).share(generator(0, 1, at)) for at in range(4000)])
        assert abs(drawn.mean() - 0.5) < 0.03
        assert abs(drawn.var() - 1 / (8 * alpha + 4)) < 0.008


def test_a_mixture_of_samples_has_the_mixture_of_their_targets(tmp_path: Path):
    """One-hot pictures: what a picture shows is its target, mixed or not."""
    kinds = np.arange(50) % 10
    np.savez(tmp_path / "p.npz", image=np.eye(64, dtype=np.float32)[kinds].reshape(50, 1, 8, 8), kind=kinds)
    data = 'data arrays("p.npz", target="kind"); loss cross_entropy; split train=0.8'
    found = loaded(tmp_path, f"{data}; augment mixup(1)", ONE)
    inputs, target = found.batch(found.parts.train, 1)
    assert target.shape == (40, 10)
    torch.testing.assert_close(inputs["image"].flatten(1)[:, :10], target)
    assert ((target > 0).sum(1) == 2).float().mean() > 0.6
    alone = found.batch(found.parts.train[7:8], 1)
    assert torch.equal(alone[1][0], target[7])
    assert torch.equal(alone[0]["image"][0], inputs["image"][7])


def test_a_mixture_of_masks_has_the_mixture_of_their_classes(tmp_path: Path):
    """Pictures that are their own masks, a channel per class: what a picture shows is its target; it trains too."""
    mask = np.random.default_rng(0).integers(0, 2, (40, 5, 6))
    np.savez(tmp_path / "p.npz", image=np.eye(2, dtype=np.float32)[mask].transpose(0, 3, 1, 2), mask=mask)
    settings = 'data arrays("p.npz", target="mask"); loss cross_entropy; batch 8; epochs 3; optimizer adam(lr=0.1); augment flip, mixup(1)'
    found = loaded(tmp_path, settings, FLAT)
    inputs, target = found.batch(np.arange(40), 1)
    assert target.shape == (40, 2, 5, 6)
    torch.testing.assert_close(inputs["image"], target)
    assert ((target > 0.01) & (target < 0.99)).float().mean() > 0.2
    run = go(tmp_path, settings, FLAT)
    assert run.status == "finished"
    program = (run.folder / "program.py").read_text()
    assert "F.cross_entropy" in program
    np.savez(tmp_path / "p.npz", image=np.zeros((12, 2, 3, 4, 5), np.float32), mask=np.ones((12, 3, 4, 5), np.int64))
    inputs, target = loaded(tmp_path, settings, DEEP).batch(np.arange(12), 0)
    assert target.shape == (12, 2, 3, 4, 5)
    assert bool((target[:, 1] == 1).all())


def test_real_targets_are_mixed_too(tmp_path: Path):
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    np.savez(tmp_path / "p.npz", x=x, y=x.sum(1, keepdims=True))
    network = "network Net { input x: [3]; linear(1) }\n"
    found = loaded(tmp_path, 'data arrays("p.npz", target="y"); loss mse; augment mixup(1), jitter', network)
    for steps, same in (("mixup(1)", True), ("mixup(1), noise(1)", False)):
        found = loaded(tmp_path, f'data arrays("p.npz", target="y"); loss mse; augment {steps}', network)
        inputs, target = found.batch(np.arange(40), 0)
        assert torch.allclose(inputs["x"].sum(1, keepdim=True), target, atol=1e-5) == same


# --- training -----------------------------------------------------------------------------------------------
def go(folder: Path, settings: str, network: str, out: str = "runs", **options: object) -> Run:
    return train(compiled(settings, network), out_root=folder / out, project=folder, device="cpu", **options)  # type: ignore[arg-type]


def test_augmented_runs_stop_and_go_on_bit_for_bit_and_are_measured_without(tmp_path: Path):
    settings = "data digits; loss cross_entropy; batch 128; epochs 2; augment affine(degrees=10, shift=0.1), noise(0.1), mixup(0.2)"
    whole = go(tmp_path, settings, ONE)
    asked = iter(range(100))
    part = go(tmp_path, settings, ONE, out="other", stop=lambda: next(asked) >= 15)
    assert part.interrupted
    done = train(None, resume=part.folder, device="cpu")
    for name in ("best.safetensors", "metrics.csv"):
        assert (whole.folder / name).read_bytes() == (done.folder / name).read_bytes()
    plain = go(tmp_path, settings.replace("epochs 2", "epochs 0"), ONE)
    bare = go(tmp_path, settings.replace("epochs 2", "epochs 0").partition("; augment")[0], ONE)
    assert plain.results == bare.results  # the test part is as it is


def said(settings: str, folder: Path, network: str) -> list[tuple[str, str]]:
    found = compiled(settings, network)
    diagnostics = check_data(found.model(), next(iter(found.programs.values())), folder)
    return [(each.code, each.span.text if each.span else "") for each in diagnostics]


def test_what_does_not_go_with_the_data_is_said_by_check(tmp_path: Path):
    masks = pictures(tmp_path)
    loss = "loss cross_entropy"
    row = "network Net { input features: [4]; linear(3); softmax }\n"
    assert said(f"{masks}; augment flip, rotate(3), crop(5), noise(1)", tmp_path, four(FLAT)) == []
    assert said(f"data iris; {loss}; augment flip(axes=features)", tmp_path, row) == [("data-shape", "features")]
    assert said(f"data iris; {loss}; augment rotate(3)", tmp_path, row) == [("data-shape", "rotate(3)")]
    assert said(f"data iris; {loss}; augment noise(0.1), mixup(0.2)", tmp_path, row) == []
    assert said(f"data digits; {loss}; augment flip(axes=[depth])", tmp_path, ONE) == [("no-such-axis", "[depth]")]
    assert said(f"data digits; {loss}; augment crop(9)", tmp_path, ONE) == [("data-shape", "9")]
    assert said(f"data digits; {loss}; augment crop(6)", tmp_path, ONE) == [("data-shape", "crop(6)")]
    assert said(f"data digits; {loss}; augment crop(8, padding=1)", tmp_path, ONE) == []
    assert said(f"data digits; {loss}(ignore=3); augment mixup(1)", tmp_path, ONE) == [("setting-conflict", "mixup(1)")]
    assert said(f"{masks}; augment mixup(1)", tmp_path, four(FLAT)) == []
    ignoring = f"{masks}(ignore=255); augment mixup(1)"
    assert said(ignoring, tmp_path, four(FLAT)) == [("setting-conflict", "mixup(1)")]
    dice = f"{masks} + dice; augment mixup(1)"
    assert said(dice, tmp_path, four(FLAT)) == [("setting-conflict", "mixup(1)")]
    assert said(f"{masks}; augment jitter(hue=0.1)", tmp_path, four(FLAT)) == [("data-shape", "0.1")]
    assert said(f"data digits; {loss}; augment jitter(saturation=0.2)", tmp_path, ONE) == [("data-shape", "0.2")]
    assert said(f"{masks}; augment rotate(9, axes=[width, channels])", tmp_path, four(FLAT)) == [
        ("data-shape", "[width, channels]")
    ]
    assert said(f"{masks}; augment affine(axes=[1, 1])", tmp_path, four(FLAT)) == [("data-shape", "[1, 1]")]
    assert said(f"{masks}; augment rotate(9, axes=[depth, width])", tmp_path, four(FLAT)) == [
        ("no-such-axis", "[depth, width]")
    ]
    colour = "network Net { input image: [3, H, W]; global_avgpool; linear(2); softmax }\n"
    np.savez(tmp_path / "c.npz", image=np.zeros((20, 3, 4, 4), np.float32), kind=np.arange(20) % 2)
    own = f'data arrays("c.npz", target="kind"); {loss}; prepare normalize(per=volume); augment jitter(hue=0.1)'
    assert said(own, tmp_path, colour) == [("setting-conflict", "jitter(hue=0.1)")]
    halved = "network Net { input image: [2, H, W]; maxpool(2); conv(2, 1); softmax }\n"
    np.savez(tmp_path / "p.npz", image=np.zeros((20, 2, 8, 8), np.float32), mask=np.zeros((20, 4, 4), np.int64))
    assert said(f"{masks}; augment flip", tmp_path, halved) == [("setting-conflict", "flip")]


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("affine(scale=[2, 1])", "bad-argument"),
        ("affine(shear=90)", "bad-argument"),
        ("flip(share=2)", "bad-argument"),
        ("mixup(0)", "bad-argument"),
        ("crop", "missing-argument"),
        ("blur(3)", "unknown-setting"),
    ],
)
def test_wrong_calls(step: str, code: str):
    found = compile_text(f"{ONE}train {{ data digits; loss cross_entropy; augment {step} }}\n", "a.net")
    assert [each.code for each in found.bag] == [code]


def test_a_field_is_smoothed_by_a_gaussian():
    """Against a convolution with the weights written out; what is outside counts as 0."""
    x = torch.randn(2, 9, 30, generator=torch.Generator().manual_seed(0))
    at = torch.arange(-6, 7)
    weights = torch.exp(-0.5 * (at / 2) ** 2)
    rows = torch.nn.functional.conv1d(x.view(-1, 1, 30), (weights / weights.sum()).view(1, 1, -1), padding=6)
    torch.testing.assert_close(_smoothed(x, 2, 2.0), rows.view(2, 9, 30))
    torch.testing.assert_close(_smoothed(x.movedim(2, 1), 1, 2.0), rows.view(2, 9, 30).movedim(2, 1))
