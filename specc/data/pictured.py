"""Made-up pictures as files: a folder of PNG pictures and one of their masks, as `images(…, masks=…)` reads them."""

from __future__ import annotations

from pathlib import Path

from specc.data.files import FileProblem, made_folder, write_bytes
from specc.data.sources import DataProblem
from specc.data.synthetic import Synthetic


def write_shapes(folder: Path, count: int = 120, seed: int = 0) -> int:
    """Write `folder/pictures` and `folder/masks` of squares and discs in noise; the number of pictures.

    A mask has 1 for a square, 2 for a disc, 0 elsewhere. Raises DataProblem, and FileProblem where the folder is there.
    """
    import numpy as np

    if count < 1:
        raise DataProblem(f"{count} pictures cannot be made", "at least one")
    if folder.exists():
        raise FileProblem(f"`{folder}` is there already", folder, "choose another name; nothing is overwritten")
    pictures, masks = made_folder(folder / "pictures"), made_folder(folder / "masks")
    arrays = Synthetic("shapes", count=count, noise=0.15, seed=seed).load().arrays()
    assert arrays is not None
    for at, (picture, mask) in enumerate(zip(arrays[0]["image"][:, 0], arrays[1], strict=True), 1):
        grey = np.clip(np.round((0.25 + 0.5 * picture) * 255), 0, 255).astype(np.uint8)
        write_bytes(pictures / f"{at:04}.png", _png(grey))
        write_bytes(masks / f"{at:04}.png", _png(mask.astype(np.uint8)))
    return count


def _png(values: object) -> bytes:
    import io

    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(values).save(data, "PNG")  # type: ignore[arg-type]
    return data.getvalue()
