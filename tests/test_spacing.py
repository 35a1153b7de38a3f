"""How far apart the places of a sample lie: from headers and `images(…, spacing=)`, after `prepare`, in surface distances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from volumes import nifti

from specc.compiler import compile_text
from specc.data.images import Images
from specc.data.prepare import Crop, Pad, Prepared, Resize
from specc.data.spacing import spacing
from specc.data.volumes import Volumes
from specc.train.training import train


def volumes(folder: Path, distances: tuple[float, float, float] = (0.5, 2.0, 3.0), count: int = 2) -> Volumes:
    """Cases of 6 x 8 x 5 voxels, and of 6 x 8 x 4, with bright things to find."""
    chance = np.random.default_rng(0)
    for at in range(count):
        lesion = np.zeros((6, 8, 5 - at % 2), np.uint8)
        lesion[1 + at % 2 : 4, 2:6, 1:3] = 1
        scan = (lesion + chance.normal(0, 0.4, lesion.shape)).astype(np.float32)
        nifti(folder / f"case{at:02}" / "scan.nii", scan, distances=distances)
        nifti(folder / f"case{at:02}" / "lesion.nii", lesion, distances=distances)
    return Volumes(folder, ("scan",), "lesion", ("z", "y", "x"))


def test_volumes_lie_as_their_headers_say_and_keep_their_length_when_they_are_resized(tmp_path: Path):
    data = volumes(tmp_path / "a").load()
    assert spacing(data, 0, None) == (3.0, 2.0, 0.5)
    assert spacing(data, 1, Prepared((), 4)) == (3.0, 2.0, 0.5)
    for at, depth in ((0, 5), (1, 4)):
        found = spacing(data, at, Prepared((Resize((10, 4, 12)),), 4))
        assert found == pytest.approx((depth * 3.0 / 10, 8 * 2.0 / 4, 6 * 0.5 / 12))
        moved = Prepared((Pad((1,), (2,)), Resize((16,)), Crop((4, 4, 8)), Resize((8, 4, 8))), 4)
        once = ((depth + 3) * 3.0 / 16, 11 * 2.0 / 16, 9 * 0.5 / 16)
        assert spacing(data, at, moved) == pytest.approx((once[0] / 2, once[1], once[2]))


def test_pictures_lie_as_it_is_said_and_else_count_as_1(tmp_path: Path):
    for name in ("pictures", "masks"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / name / "1.png")
    plain = {"folder": tmp_path / "pictures", "masks": tmp_path / "masks"}
    assert spacing(Images(**plain).load(), 0, None) == (1.0, 1.0)
    assert spacing(Images(**plain, spacing=(0.5, 2.0)).load(), 0, None) == (0.5, 2.0)
    data = Images(**plain, spacing=(0.5, 2.0), size=(12, 4)).load()
    assert spacing(data, 0, None) == pytest.approx((0.25, 4.0))
    assert spacing(data, 0, Prepared((Resize((24, 4)),), 3)) == pytest.approx((0.125, 4.0))


def test_twice_the_distance_between_voxels_is_twice_the_distance_between_surfaces(tmp_path: Path):
    text = """network Net { input scan: [1, D, H, W]; conv(4, 1); relu; conv(2, 1); softmax }
train {
    data volumes("a", channels=["scan"], mask="lesion"); split train=0.5, validation=0.25, test=0.25
    loss cross_entropy; optimizer adam(lr=0.03); batch 1; epochs 8
    metrics dice, hausdorff, assd; postprocess largest_regions(1)
}
"""
    found = compile_text(text, "a.net")
    assert found.ok, [each.message for each in found.bag]
    figures = []
    for distances in ((0.5, 2.0, 3.0), (1.0, 4.0, 6.0)):
        volumes(tmp_path / "a", distances, count=8)
        figures.append(train(found, out_root=tmp_path / "runs", project=tmp_path, device="cpu").results)
    one, two = figures
    assert one["hausdorff"] > 0
    for name in ("hausdorff", "assd", "hausdorff.post", "assd.post"):
        assert two[name] == pytest.approx(2 * one[name], rel=1e-9)
    assert two["dice"] == one["dice"]
