"""Tables and pictures as data, and what can be wrong with them."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from specc.data.images import Images
from specc.data.pictures import decode
from specc.data.schema import Schema
from specc.data.sources import DataProblem, MissingData
from specc.data.tables import Table


# --- tables -------------------------------------------------------------------------------------------------
def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_of_numbers_and_words(tmp_path):
    path = table(tmp_path, "size,colour,kind\n1.5,red,b\n-2,green,a\n\n3e1,red,b\n")
    facts = Table(path, "kind").describe()
    assert facts.input_shapes == {"features": (3,)}
    assert facts.names == ("size", "colour=green", "colour=red")
    assert (facts.target, facts.class_names, facts.count) == ("class", ("a", "b"), 3)
    data = Table(path, "kind").load()
    assert data.arrays()[0]["features"].tolist() == [[1.5, 0, 1], [-2, 1, 0], [30, 0, 1]]
    assert data.labels().tolist() == [1, 0, 1]
    assert Table(path, "size", ("colour",)).describe().target == "real"
    assert Table(path, "kind").column("colour") == ["red", "green", "red"]


def test_categories_are_learnt_from_the_training_rows_alone(tmp_path):
    path = table(tmp_path, "colour,y\nred,0.5\ngreen,1.5\nblue,0.25\nred,3\n")
    data = Table(path, "y").load().fitted(np.array([0, 2]))
    assert data.arrays()[0]["features"].tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 0, 1]]
    schema = Schema.from_json(json.loads(json.dumps(data.encoding())))
    assert schema.columns[0].unseen == ("green",)
    assert schema.encode({"colour": "red"}) == [0, 0, 1]
    assert schema.encode({"colour": "green"}) == [0, 0, 0]
    for row, said in [
        ({"colour": "mauve"}, "not a known category"),
        ({}, "no column colour"),
        ({"colour": ""}, "missing"),
    ]:
        with pytest.raises(DataProblem, match=said):
            schema.encode(row)


@pytest.mark.parametrize(
    ("values", "read_as", "names"),
    [
        (["10", "2", "2", "10", "1", "1"], None, ("1", "2", "10")),
        (["1", "2.0", "1.0", "2"], None, ("1", "2")),
        (["1", "2", "3", "4"], None, ()),
        (["1", "2", "3", "4"], "class", ("1", "2", "3", "4")),
        (["1", "1", "2", "2"], "real", ()),
        (["0.5", "1", "2", "2"], None, ()),
        (["yes", "no", "yes", "no"], None, ("no", "yes")),
    ],
)
def test_what_a_target_column_is(tmp_path, values, read_as, names):
    path = table(tmp_path, "x,y\n" + "".join(f"1,{each}\n" for each in values))
    facts = Table(path, "y", read_as=read_as).describe()
    assert facts.class_names == names
    assert facts.target == ("class" if names else "real")
    target = Table(path, "y", read_as=read_as).load().arrays()[1]
    if names:
        assert [names[each] for each in target] == [each.removesuffix(".0") for each in values]
    else:
        assert target.ravel().tolist() == [float(each) for each in values]


@pytest.mark.parametrize(
    ("text", "said", "row"),
    [
        ("x,y\n1,2\n3\n", "1 values where the header has 2", 3),
        ("x,y\n1,2\n3,4,5\n", "3 values where the header has 2", 3),
        ("x,y\n1,2\n,4\n", "column x: a value is missing", 3),
        ("x,y\n1,2\nNA,4\n", "column x: a value is missing \\(NA\\)", 3),
        ("x,y\n1,2\n3,\n", "column y: a value is missing", 3),
        ("x,y\n1,2\n2,2\nl0,4\n", "column x: 'l0' is not a number", 4),
        ("x,y\n1,2\n2,2\ninf,4\n", "'inf' is not a number", 4),
        ("x,y\n1,2\n2,2\n1_0,4\n", "'1_0' is not a number", 4),
        ("x,z\n1,2\n", "no column y", 1),
        ("x,x,y\n1,1,2\n", "two columns are called x", 1),
        ("x,,y\n1,1,2\n", "column 2 has no name", 1),
        ("", "no header", 1),
        ("x,y\n", "no rows", None),
        ("y\n1\n", "no input besides", None),
        ('x,y\n1,"2\n', "not a table", 2),
    ],
)
def test_wrong_tables_are_refused_at_their_row_and_column(tmp_path, text, said, row):
    path = table(tmp_path, text)
    with pytest.raises(DataProblem, match=said) as caught:
        Table(path, "y").load()
    assert (caught.value.file, caught.value.row) == (path, row)


def test_other_tables(tmp_path):
    with pytest.raises(MissingData):
        Table(tmp_path / "none.csv", "y").describe()
    (tmp_path / "t.csv").write_bytes("\ufeffx;y\r\n1;ä\r\n".encode())
    assert Table(tmp_path / "t.csv", "y").describe().class_names == ("ä",)
    (tmp_path / "t.csv").write_bytes("x,y\n1,ä\n".encode("latin-1"))
    with pytest.raises(DataProblem, match="not UTF-8"):
        Table(tmp_path / "t.csv", "y").describe()
    with pytest.raises(DataProblem, match="among the inputs"):
        Table(table(tmp_path, "x,y\n1,2\n"), "y", ("y",)).describe()
    with pytest.raises(DataProblem, match="'a' is not a number"):
        Table(table(tmp_path, "x,y\n1,a\n"), "y", read_as="real").describe()
    many = "".join(f"name{at},{at % 2}\n" for at in range(1500))
    with pytest.raises(DataProblem, match="more than 1000 different words"):
        Table(table(tmp_path, "x,y\n" + many), "y").describe()


# --- images -------------------------------------------------------------------------------------------------
def picture(path: Path, values: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Image.fromarray(values)
    (made.convert(mode) if mode else made).save(path)
    return path


def grey(value: int, height: int = 4, width: int = 6) -> np.ndarray:
    return np.full((height, width), value, np.uint8)


def test_a_folder_per_class(tmp_path):
    picture(tmp_path / "b" / "2.png", grey(51))
    picture(tmp_path / "b" / "1.PNG", grey(255))
    picture(tmp_path / "a" / "x.bmp", grey(0))
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a" / "Thumbs.db").write_text("")
    facts = Images(tmp_path).describe()
    assert facts.input_shapes == {"image": (1, 4, 6)}
    assert (facts.class_names, facts.count, facts.target) == (("a", "b"), 3, "class")
    data = Images(tmp_path).load()
    assert data.labels().tolist() == [0, 1, 1]
    assert [float(data.sample(at)[0]["image"].mean()) for at in range(3)] == [0.0, 1.0, pytest.approx(0.2)]
    assert data.arrays() is None
    wide = Images(tmp_path, size=(8, 8), channels=3).load()
    assert wide.sample(1)[0]["image"].shape == wide.facts.input_shapes["image"] == (3, 8, 8)
    assert wide.encoding() == {"channels": 3, "size": [8, 8], "bits": 8}


def test_pictures_of_every_kind(tmp_path):
    rgb = np.zeros((2, 2, 3), np.uint8)
    rgb[..., 0] = 255
    assert decode(picture(tmp_path / "rgb.png", rgb), 3)[:, 0, 0].tolist() == [1, 0, 0]
    assert decode(tmp_path / "rgb.png", 1)[0, 0, 0] == pytest.approx(0.299, abs=0.002)
    assert decode(picture(tmp_path / "p.gif", rgb, "P"), 3)[:, 1, 1].tolist() == [1, 0, 0]
    assert decode(picture(tmp_path / "j.jpg", grey(128)), 1).mean() == pytest.approx(128 / 255, abs=0.01)
    assert decode(picture(tmp_path / "one.png", grey(255), "1"), 1).max() == 1
    clear = np.zeros((2, 2, 4), np.uint8)
    clear[0, 0] = [0, 0, 0, 255]
    assert decode(picture(tmp_path / "clear.png", clear), 1)[0].tolist() == [[0, 1], [1, 1]]
    deep = decode(picture(tmp_path / "deep.png", np.full((2, 3), 32_768, np.uint16)), 3)
    assert deep.shape == (3, 2, 3)
    assert deep.max() == pytest.approx(32_768 / 65_535)
    with pytest.raises(DataProblem, match="1 or 3 channels"):
        decode(tmp_path / "rgb.png", 2)


def test_wrong_folders_of_images(tmp_path):
    with pytest.raises(MissingData):
        Images(tmp_path / "none").describe()
    with pytest.raises(DataProblem, match="no folder per class"):
        Images(tmp_path).describe()
    (tmp_path / "a").mkdir()
    with pytest.raises(DataProblem, match="no pictures"):
        Images(tmp_path).describe()
    picture(tmp_path / "a" / "1.png", grey(1))
    picture(tmp_path / "a" / "2.png", grey(1, 5, 6))
    assert Images(tmp_path).describe().input_shapes == {"image": (1, None, None)}
    (tmp_path / "a" / "notes.txt").write_text("")
    with pytest.raises(DataProblem, match="among pictures") as caught:
        Images(tmp_path).describe()
    assert caught.value.file == tmp_path / "a" / "notes.txt"
    (tmp_path / "a" / "notes.txt").rename(tmp_path / "a" / "2.png")
    with pytest.raises(DataProblem, match="not a png") as caught:
        Images(tmp_path).describe()
    assert caught.value.file == tmp_path / "a" / "2.png"
    picture(tmp_path / "loose.png", grey(1))
    with pytest.raises(DataProblem, match="beside the folders"):
        Images(tmp_path).describe()


def test_broken_animated_and_odd_pictures_are_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    path = picture(tmp_path / "a" / "1.png", noise)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataProblem, match="cannot be read") as caught:
        Images(tmp_path).load()
    assert caught.value.file == path
    frames = [Image.fromarray(grey(each)) for each in (0, 200)]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataProblem, match="animated"):
        decode(tmp_path / "two.gif", 1)
    for at in range(70):
        picture(tmp_path / "b" / f"{at:02}.png", grey(1, 5 if at == 2 else 4))
    (tmp_path / "two.gif").unlink()
    picture(path, grey(1))
    for broken in ("stop", "skip"):  # a size is a matter of the spec, not a broken file
        with pytest.raises(DataProblem, match="5 x 6 pixels where others are 4 x 6"):
            Images(tmp_path, broken=broken).load()


def test_masks(tmp_path):
    for at in range(3):
        picture(tmp_path / "images" / f"{at}.png", grey(at))
        picture(tmp_path / "masks" / f"{at}.png", np.eye(4, 6, dtype=np.uint8) * (255 if at else 0))
    source = Images(tmp_path / "images", masks=tmp_path / "masks")
    facts = source.describe()
    assert (facts.target, facts.target_shape, facts.classes) == ("classes", (4, 6), 2)
    assert source.load().sample(1)[1].tolist() == np.eye(4, 6).tolist()
    assert source.load().labels() is None
    picture(tmp_path / "masks" / "0.png", grey(2))
    assert source.describe().class_names == ("0", "1", "2")
    assert source.load().sample(1)[1].max() == 255
    small = Images(tmp_path / "images", (2, 3), tmp_path / "masks").load()
    assert small.sample(0)[1].shape == small.sample(0)[0]["image"].shape[1:] == (2, 3)
    picture(tmp_path / "masks" / "0.png", grey(2, 3, 3))
    with pytest.raises(DataProblem, match="mask is 3 x 3 pixels, its picture 4 x 6"):
        source.load().sample(0)
    picture(tmp_path / "masks" / "0.png", np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(DataProblem, match="pixels of the kind RGB"):
        source.describe()
    (tmp_path / "masks" / "0.png").unlink()
    with pytest.raises(DataProblem, match="has no mask"):
        source.describe()
    (tmp_path / "images" / "0.png").unlink()
    (tmp_path / "images" / "1.png").unlink()
    with pytest.raises(DataProblem, match="has no picture"):
        source.describe()


def _png16(path: Path, values: np.ndarray, colour: int) -> Path:
    """A PNG of 16 bits a channel, written from the format's definition; `colour` is 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = values.shape[:2]
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))
    return path


def test_pictures_of_16_bits_are_read_whole_or_refused(tmp_path):
    values = np.random.default_rng(0).integers(0, 65_536, (5, 7), np.uint16)
    for channels in (1, 3):
        found = decode(_png16(tmp_path / "grey.png", values, 0), channels)
        np.testing.assert_array_equal(found, np.repeat(values[None].astype(np.float32) / 65_535, channels, axis=0))
    for colour, channels in ((2, 3), (4, 2), (6, 4)):
        deep = np.random.default_rng(colour).integers(0, 65_536, (5, 7, channels), np.uint16)
        with pytest.raises(DataProblem, match="16 bits each, of which Pillow would read 8") as caught:
            decode(_png16(tmp_path / "deep.png", deep, colour), 3)
        assert caught.value.file == tmp_path / "deep.png"
    # Before training, whatever `broken` says: the file is whole.
    _png16(tmp_path / "set" / "a" / "1.png", np.zeros((5, 7, 3), np.uint16), 2)
    for broken in ("stop", "skip"):
        with pytest.raises(DataProblem, match="16 bits each"):
            Images(tmp_path / "set", broken=broken).load()


def test_masks_of_16_bits_and_tiff_files_are_refused(tmp_path):
    picture(tmp_path / "pictures" / "1.png", grey(1))
    _png16(tmp_path / "masks" / "1.png", np.full((4, 6), 300, np.uint16), 0)
    for broken in ("stop", "skip"):
        with pytest.raises(DataProblem, match="the mask has pixels of the kind I;16") as caught:
            Images(tmp_path / "pictures", masks=tmp_path / "masks", broken=broken).describe()
        assert "8 bits" in caught.value.help
    (tmp_path / "masks" / "1.png").unlink()
    for name in ("1.tif", "1.tiff"):
        picture(tmp_path / "masks" / name, grey(1))
        with pytest.raises(DataProblem, match="not a png, jpg, bmp or gif picture") as caught:
            Images(tmp_path / "pictures", masks=tmp_path / "masks").describe()
        assert "save it as PNG" in caught.value.help
        (tmp_path / "masks" / name).rename(tmp_path / "masks" / "1.png")  # a TIFF under another name
        with pytest.raises(DataProblem, match="not a png, jpg, bmp or gif picture") as caught:
            Images(tmp_path / "pictures", masks=tmp_path / "masks").load()
        assert "TIFF" in caught.value.help
        (tmp_path / "masks" / "1.png").unlink()
