"""Sliding windows against MONAI's, and against the network on the whole where that is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx_files import exported
from reference import models

from specc.deploy.runtime import BadInput, Predictor
from specc.deploy.windows import Window, parsed, slide

SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((37,), (8,)),
    ((5,), (8,)),
    ((19, 23), (8, 6)),
    ((8, 6), (8, 6)),
    ((9, 10, 7), (4, 6, 8)),
]


def network(x: Any) -> Any:
    """Depends on the place within the window, so that blending shows."""
    ramp = torch.linspace(-1, 1, x.shape[-1])
    return torch.cat([x * ramp, torch.cumsum(x, -1)], 1)


@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("blend", ["gaussian", "constant"])
def test_blending_is_that_of_monai(shape: tuple[int, ...], size: tuple[int, ...], overlap: float, blend: Any) -> None:
    models()
    from monai.inferers import sliding_window_inference

    x = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 2, *shape)).astype(np.float32))
    wanted = sliding_window_inference(x, size, 3, network, overlap=overlap, mode=blend)[0].numpy()
    made = slide(
        lambda each: {"y": network(torch.from_numpy(each)).numpy()}, x[0].numpy(), Window(size, overlap, blend), batch=3
    )
    assert made["y"].dtype == np.float32
    np.testing.assert_allclose(made["y"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_windows_in_batches_give_the_same_and_are_counted(batch: int) -> None:
    x = np.random.default_rng(1).normal(size=(1, 11, 9)).astype(np.float32)
    told: list[tuple[int, int]] = []
    sizes: list[int] = []

    def run(each: Any) -> dict[str, Any]:
        sizes.append(len(each))
        return {"y": each * 2}

    made = slide(run, x, Window((4, 4)), batch, lambda done, of: told.append((done, of)))
    np.testing.assert_allclose(made["y"], x * 2, rtol=1e-5)
    assert max(sizes) <= batch
    assert told[-1] == (sum(sizes), sum(sizes))


def test_a_network_without_neighbours_gives_in_windows_what_it_gives_on_the_whole(tmp_path: Path) -> None:
    path = exported("network N {\n    input x: [2, D, H, W]\n    conv(3, 1) -> softmax(axis=channels)\n}\n", tmp_path)
    predictor = Predictor(path, "cpu")
    x = np.random.default_rng(2).normal(size=(2, 6, 7, 9)).astype(np.float32)
    made = slide(predictor.run, x, Window((4, 4, 5), 0.3), 2)
    np.testing.assert_allclose(made["output"], predictor.run(x)["output"][0], rtol=1e-5, atol=1e-6)


def test_what_windows_cannot_do_is_refused() -> None:
    x = np.zeros((1, 8, 8), np.float32)
    for size, overlap in (((), 0.5), ((0, 3), 0.5), ((4, 4), 1.0), ((4, 4), -0.1), ((4, 4), float("nan"))):
        with pytest.raises(BadInput):
            Window(size, overlap)
    with pytest.raises(BadInput, match="the window has 1 sizes, and the input has 2 axes"):
        slide(lambda each: {"y": each}, x, Window((4,)))
    with pytest.raises(BadInput, match=r"`y` is \[1\] for a window of \[4, 4\]"):
        slide(lambda each: {"y": each.mean((2, 3))}, x, Window((4, 4)))
    with pytest.raises(BadInput, match="whole numbers"):
        slide(lambda each: {"y": each.astype(np.int64)}, x, Window((4, 4)))
    assert parsed("4,5", 0.25, "constant") == Window((4, 5), 0.25, "constant")
    with pytest.raises(BadInput, match="not of the form"):
        parsed("4x5", 0.25, "constant")
