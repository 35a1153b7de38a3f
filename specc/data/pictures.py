"""One picture file as an array: headers, grey or colour, depth, size. The only file that uses Pillow, when asked."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specc.data.sources import BrokenFile, DataProblem, MissingData

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    Array = NDArray[Any]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_GREY = ("1", "L", "LA", "La", "I", "F")
_MOST_PIXELS = 2**28


@dataclass(frozen=True, slots=True)
class Look:
    """What the header of a picture says: height and width in pixels, whether it is grey, whether it has 16 bits."""

    height: int
    width: int
    grey: bool
    deep: bool = False


def look(path: Path) -> Look:
    """Read the header alone; raises DataProblem naming the file."""
    with opened(path) as picture:
        deep = picture.mode.startswith("I;16")
        return Look(picture.height, picture.width, picture.mode in _GREY or deep, deep)


def decode(path: Path, channels: int, size: tuple[int, int] | None = None) -> Array:
    """The picture as float32 [channels, height, width] in 0..1; `size` is (height, width).

    One channel is grey (ITU-R 601 weights), three are red, green and blue. Transparency shows white. Another size is
    reached with Pillow's bilinear filter, which averages when it makes pictures smaller.
    """
    import numpy as np
    from PIL import Image

    if channels not in (1, 3):
        raise DataProblem(f"a picture has 1 or 3 channels, not {channels}", "1 is grey, 3 is colour", path)
    with opened(path) as picture:
        if picture.mode.startswith("I;16"):
            deep: Any = Image.fromarray(np.asarray(picture, dtype=np.float32))
            deep = deep if size is None else deep.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.repeat(np.asarray(deep, dtype=np.float32)[None] / np.float32(65_535), channels, axis=0)
        flat = _opaque(path, picture).convert("L" if channels == 1 else "RGB")
        if size is not None and flat.size != (size[1], size[0]):
            flat = flat.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(flat, dtype=np.float32) / np.float32(255)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def decode_mask(path: Path, size: tuple[int, int] | None = None) -> Array:
    """The numbers that a mask holds per pixel, uint8 [height, width]; another size takes the nearest pixel."""
    import numpy as np
    from PIL import Image

    with opened(path) as picture:
        flat = _indexed(path, picture)
        if size is not None and flat.size != (size[1], size[0]):
            flat = flat.resize((size[1], size[0]), Image.Resampling.NEAREST)
        return np.asarray(flat, dtype=np.uint8)


def mask_values(path: Path) -> set[int]:
    """The different numbers in a mask."""
    with opened(path) as picture:
        colours: Any = _indexed(path, picture).getcolors(256)
        return {int(value) for _, value in colours}


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture, with everything that can be wrong with it turned into DataProblem."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DataProblem("reading pictures needs Pillow", "pip install pillow", path) from None
    # Once for the process: putting filters back is not safe where several threads read.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    try:
        with Image.open(path, formats=("PNG", "JPEG", "BMP", "GIF")) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise DataProblem(
                    f"the picture claims {picture.width} x {picture.height} pixels", "make it smaller", path
                )
            if getattr(picture, "n_frames", 1) > 1:
                raise DataProblem("the picture is animated", "save each frame as a picture of its own", path)
            yield picture
    except FileNotFoundError:
        raise MissingData("there is no such file", "check the path", path) from None
    except UnidentifiedImageError:
        help = "replace or remove the file; save other kinds, such as TIFF, as PNG"
        raise BrokenFile("this is not a png, jpg, bmp or gif picture", help, path) from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise BrokenFile(f"the picture cannot be read: {error}", "replace or remove the file", path) from error


def _opaque(path: Path, picture: Image.Image) -> Image.Image:
    """The picture on white where it is transparent."""
    from PIL import Image

    if any(";16" in str(tile[3]) for tile in getattr(picture, "tile", ())):
        message = "its colours have 16 bits each, of which Pillow would read 8"
        raise DataProblem(message, "save it with 8 bits a colour, in grey with 16 bits, or use arrays(…)", path)
    if picture.mode in ("I", "F"):
        raise DataProblem(
            f"its pixels are of the kind {picture.mode}", "save it with 8 or 16 bits a pixel, or use arrays(…)", path
        )
    if picture.mode not in ("LA", "La", "PA", "RGBA", "RGBa") and "transparency" not in picture.info:
        return picture
    over = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)


def _indexed(path: Path, picture: Image.Image) -> Image.Image:
    """A mask with one number per pixel: black and white is 0 and 1, a palette gives its index."""
    if picture.mode == "1":
        return picture.point(lambda value: 1 if value else 0, "L")
    if picture.mode not in ("L", "P"):
        raise DataProblem(
            f"the mask has pixels of the kind {picture.mode}",
            "save it in grey or with a palette, 8 bits a pixel, a number per class",
            path,
        )
    return picture
