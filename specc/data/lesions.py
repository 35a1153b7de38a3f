"""Made-up stroke patients as NIfTI files: six maps of a brain and the mask of its lesion, in the sizes of real scanners.

What is made has the form of the real thing and none of its truth: a brain with ventricles, a core where diffusion and
flow are low, a larger region around it where blood comes late, old scars that only some maps show, and noise.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.data.chance import Chance
from specc.data.columns import SAMPLES
from specc.data.files import FileProblem, made_folder, write_text
from specc.data.nifti_file import write_volume
from specc.data.sources import DataProblem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

CHANNELS = ("adc", "cbf", "cbv", "mtt", "tmax", "ttp")
MASK = "lesion"
SIZES = ((128, 128, 25), (192, 192, 19), (192, 192, 24), (192, 192, 30), (256, 256, 24))  # x, y, z of the lecture notes
_WIDE, _HIGH = 240.0, 150.0  # the field of view in millimetres
_REACH = (68.0, 86.0, 62.0)  # half axes of the brain in millimetres

# healthy tissue, what the core adds, what the region around it adds, a scar, the ventricles, noise, the file's slope
_LOOKS = {
    "adc": (800.0, -350.0, 0.0, -150.0, 1600.0, 70.0, 1.0),  # 1e-6 mm2/s
    "cbf": (50.0, -32.0, -18.0, -25.0, -45.0, 7.0, 0.05),  # ml/100g/min
    "cbv": (4.0, -2.2, 0.0, -2.0, -3.6, 0.6, 0.005),  # ml/100g
    "mtt": (5.0, 4.0, 3.0, 0.0, 0.0, 0.9, 0.005),  # s
    "tmax": (2.0, 7.0, 5.0, 0.0, 0.0, 1.0, 0.005),  # s
    "ttp": (12.0, 6.0, 5.0, 0.0, 0.0, 1.3, 0.01),  # s
}


def write_lesions(folder: Path, patients: int = 10, scale: int = 4, seed: int = 0) -> int:
    """Write a folder for `volumes(…)` with two cases per patient and samples.csv; the number of cases.

    A patient's volumes have one of the five sizes of `SIZES`, in turn, with width and height divided by `scale`.

    Raises:
        DataProblem: numbers that give no volumes.
        FileProblem: the folder is there already, or cannot be written.
    """
    if patients < 1 or scale < 1 or any(size % scale or size // scale < 16 for *plane, _ in SIZES for size in plane):
        raise DataProblem(
            f"{patients} patients at a scale of {scale} cannot be made", "at least one patient; a scale of 1, 2, 4 or 8"
        )
    if folder.exists():
        raise FileProblem(f"`{folder}` is there already", folder, "choose another name; nothing is overwritten")
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["sample", "patient"])
    for patient in range(patients):
        wide, high, deep = SIZES[patient % len(SIZES)]
        for visit in (1, 2):
            name = f"patient{patient + 1:02}_{visit}"
            _case(made_folder(folder / name), (wide // scale, high // scale, deep), Chance(seed, 5, patient, visit))
            rows.writerow([name, f"patient{patient + 1:02}"])
    write_text(folder / SAMPLES, text.getvalue())
    return 2 * patients


def _case(folder: Path, shape: tuple[int, int, int], chance: Chance) -> None:
    """The six maps and the mask of one visit."""
    import numpy as np

    spacing = (_WIDE / shape[0], _WIDE / shape[1], _HIGH / shape[2])
    places = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * each for n, each in zip(shape, spacing, strict=True)), indexing="ij"
    )
    brain = _ellipsoid(places, (0, 0, 0), _REACH) < 1
    ventricles = np.minimum(*(_ellipsoid(places, (side * 12, 0, 5), (6, 26, 14)) for side in (-1, 1))) < 1
    core, late, scars = _regions(places, chance, brain & ~ventricles)
    for name in CHANNELS:
        healthy, in_core, in_late, in_scar, wet, noise, slope = _LOOKS[name]
        values = healthy + in_core * core + in_late * late + in_scar * scars + wet * ventricles
        values = brain * (values + noise * chance.normal(*shape)) + 0.2 * noise * chance.normal(*shape)
        stored = np.clip(np.round(values / slope), -32768, 32767).astype(np.int16)
        write_volume(folder / f"{name}.nii.gz", stored, spacing, slope)
    write_volume(folder / f"{MASK}.nii.gz", core.astype(np.uint8), spacing)


def _regions(places: Sequence[Array], chance: Chance, tissue: Array) -> tuple[Array, Array, Array]:
    """The core of one or two pieces on one side, what lies around it, and scars anywhere, as truth values."""
    import numpy as np

    core, late = np.zeros(tissue.shape, bool), np.zeros(tissue.shape, bool)
    side = 1 if chance.uniform(1)[0] < 0.5 else -1
    for piece in range(1 + int(chance.uniform(1)[0] < 0.5)):
        turn, lift, size = chance.uniform(3)
        middle = (side * (32 + 10 * turn), 70 * (lift - 0.5), 50 * (turn - 0.5))
        reach = (16 + 10 * size) * (1 - 0.45 * piece) * (0.85 + 0.3 * chance.uniform(3))
        edge = _ellipsoid(places, middle, reach) * _wavy(places, chance)
        core |= edge < 1
        late |= edge < 2.2
    scars = np.zeros(tissue.shape, bool)
    for _ in range(2):
        where = (chance.uniform(3) - 0.5) * 2 * np.array([48.0, 60.0, 40.0])
        scars |= _ellipsoid(places, where, 6 + 6 * chance.uniform(3)) < 1
    core &= tissue
    return core, late & tissue & ~core, scars & tissue & ~core


def _ellipsoid(places: Sequence[Array], middle: Any, reach: Any) -> Array:
    """Below 1 inside an ellipsoid, growing outwards."""
    found: Array = sum(((x - at) / far) ** 2 for x, at, far in zip(places, middle, reach, strict=True))
    return found


def _wavy(places: Sequence[Array], chance: Chance) -> Array:
    """A smooth field around 1, so that no lesion is an ellipsoid."""
    import numpy as np

    found = np.ones(places[0].shape)
    for _ in range(4):
        waves, phase = chance.normal(3) / 14, chance.uniform(1)[0] * 2 * np.pi
        found += 0.12 * np.sin(sum(x * wave for x, wave in zip(places, waves, strict=True)) + phase)
    return found
