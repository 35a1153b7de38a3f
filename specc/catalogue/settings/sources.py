"""Where the samples come from: the data sets that come along, arrays, tables and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from specc.catalogue.arguments import (
    TEXT,
    Count,
    KeywordOnly,
    Kind,
    NonNegative,
    Positive,
    String,
    choice,
    items,
    literal,
    optional,
    real,
    whole,
)
from specc.catalogue.entry import Misfit
from specc.catalogue.setting import Dotted, Held, Names, SourceSetting

_Size = Annotated[Any, Kind("a list [height, width]", items(whole(1), 2, 2))]
_File = optional(String)
_Bad = Annotated[str, choice("stop", "skip")]
_Spacing = optional(Annotated[Any, Kind("a list of two numbers above 0", items(real(gt=0), 2, 2))])


class Shipped(SourceSetting):
    """A real data set that comes with the installation."""

    runs = "specc.data.shipped:Shipped"

    def keywords(self, folder: Path) -> Mapping[str, Any]:
        return {"name": self.name}


class ShippedClasses(Shipped):
    """One with classes."""

    _: KeywordOnly
    classes: Annotated[tuple[int, ...], Kind("a list of at least two whole numbers from 0 on", items(whole(0), 2))] = ()
    """Which classes, by their numbers from 0; they are numbered anew, in this order. All of them otherwise."""

    def refusals(self) -> Iterable[Misfit]:
        if len(set(self.classes)) < len(self.classes):
            yield Misfit("bad-argument", "a class stands in the list twice", argument="classes")

    def keywords(self, folder: Path) -> Mapping[str, Any]:
        return {"name": self.name, "classes": self.classes}


class Digits(ShippedClasses):
    """1,797 handwritten digits (Kaynak 1995): `image` [1, 8, 8] in 0..1, ten classes."""

    name = "digits"


class BreastCancer(ShippedClasses):
    """569 fine needle aspirates (Wolberg, Street and Mangasarian 1993): `features` [30], two classes."""

    name = "breast_cancer"


class Iris(ShippedClasses):
    """150 flowers (Fisher 1936): `features` [4], three classes."""

    name = "iris"


class Wine(ShippedClasses):
    """178 wines (Forina 1988): `features` [13], three classes."""

    name = "wine"


class Diabetes(Shipped):
    """442 patients (Efron et al. 2004): `features` [10], a number a year later."""

    name = "diabetes"


class Arrays(SourceSetting):
    """A .npz file with a field per input and one for the target, or a .npy file; other names map inputs to fields."""

    name = "arrays"
    runs = "specc.data.arrays:Arrays"
    extra = Kind('the name of a field, "field"', TEXT)

    file: String
    """The file, from the project's folder on."""
    _: KeywordOnly
    target: String
    """The field of the target, or the .npy file beside a .npy file."""
    windows: optional(Positive) = None  # type: ignore[valid-type]
    """Cut every sample of the file, a recording, into samples of so many places, which stay in one part of the split."""
    stride: optional(Positive, "windows") = None  # type: ignore[valid-type]
    """How many places further the next window begins; without it windows lie side by side."""
    axis: optional(Count) = None  # type: ignore[valid-type]
    """The axis of a sample along which it is cut, from 0: without it the one after the channels, or the only one."""

    def refusals(self) -> Iterable[Misfit]:
        for name in ("stride", "axis"):
            if self.windows is None and getattr(self, name) is not None:
                message = f"without `windows=` nothing is cut, so `{name}=` says nothing"
                yield Misfit("bad-argument", message, "say `windows=`", argument=name)

    def keywords(self, folder: Path) -> Mapping[str, Any]:
        found = {"path": folder / self.file, "target": self.target, "inputs": dict(self.extra_values)}
        return found | {"windows": self.windows, "stride": self.stride, "axis": self.axis}


class Table(SourceSetting):
    """A CSV file with a header, or a Parquet file; the input is `features`, with one entry per number and per category of
    words. Parquet needs polars: `pip install "specc[tables]"`."""

    name = "table"
    runs = "specc.data.tables:Table"

    file: String
    """The file, from the project's folder on."""
    _: KeywordOnly
    target: String
    """The column to learn."""
    inputs: optional(Names, "rest") = None  # type: ignore[valid-type]
    """The columns that go in: a list, or the rest."""
    missing: _Bad = "stop"
    """What is done about rows that miss a value in these columns: `stop` before training and name them, or `skip` them."""

    def keywords(self, folder: Path) -> Mapping[str, Any]:
        found = {"path": folder / self.file, "target": self.target, "inputs": self.inputs}
        return found | {"missing": self.missing}


class Images(SourceSetting):
    """A folder of pictures: one folder per class, or pictures with a mask of the same name each."""

    name = "images"
    runs = "specc.data.images:Images"

    folder: String
    """The folder, from the project's folder on."""
    _: KeywordOnly
    size: _Size = None
    """Bring every picture to [height, width]."""
    masks: _File = None  # type: ignore[valid-type]
    """The folder of the masks."""
    channels: optional(Positive) = None  # type: ignore[valid-type]
    """1 for grey, 3 for colour; without it the pictures decide."""
    spacing: _Spacing = None  # type: ignore[valid-type]
    """How far the pixels of the files lie apart, [down, across] in millimetres, for metrics that measure lengths."""
    broken: _Bad = "stop"
    """What is done about files that cannot be read: `stop` before training and name them, or `skip` them."""

    def refusals(self) -> Iterable[Misfit]:
        if self.channels not in (None, 1, 3):
            yield Misfit("bad-argument", f"pictures have 1 or 3 channels, not {self.channels}", argument="channels")

    def keywords(self, folder: Path) -> Mapping[str, Any]:
        masks = None if self.masks is None else folder / self.masks
        found = {"folder": folder / self.folder, "size": self.size, "masks": masks, "channels": self.channels}
        return found | {"spacing": self.spacing, "broken": self.broken}


class Mnist(SourceSetting):
    """A folder with the files of MNIST, or of a data set in its format: `image` [1, 28, 28] in 0..1, and its test part."""

    name = "mnist"
    runs = "specc.data.idx:Mnist"

    folder: String
    """The folder with train-images-idx3-ubyte and the other three, as they are or with .gz."""

    def keywords(self, folder: Path) -> Mapping[str, Any]:
        return {"folder": folder / self.folder}


class Cifar10(SourceSetting):
    """A folder with the binary version of CIFAR-10: `image` [3, 32, 32] in 0..1, ten classes, and its test part."""

    name = "cifar10"
    runs = "specc.data.cifar:Cifar10"

    folder: String
    """The folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin."""

    def keywords(self, folder: Path) -> Mapping[str, Any]:
        return {"folder": folder / self.folder}


_Axes = Annotated[Any, Kind("a list of x, y and z", items(literal("x", "y", "z"), 2, 3), ("x", "y", "z"))]


class Volumes(SourceSetting):
    """A folder of cases, each a folder with a NIfTI volume per channel and one as the mask: `volume` and its classes.

    Volumes are turned by their headers: x runs to the right, y to the front, z upwards, whatever way they are stored.
    """

    name = "volumes"
    runs = "specc.data.volumes:Volumes"

    folder: String
    """The folder of the cases, from the project's folder on."""
    _: KeywordOnly
    channels: Names
    """The files that go in, without .nii or .nii.gz, one per channel."""
    mask: String
    """The file of the mask, with a whole number per voxel."""
    axes: _Axes = ("z", "y", "x")
    """The order of the axes; one that is left out must have a single slice."""
    broken: _Bad = "stop"
    """What is done about cases with a file that cannot be read: `stop` before training and name them, or `skip` them."""

    def refusals(self) -> Iterable[Misfit]:
        if len(set(self.axes)) < len(self.axes):
            yield Misfit("repeated-axis", "an axis is named twice", argument="axes")
        names = [*self.channels, self.mask]
        for name in names:
            if names.count(name) > 1:
                yield Misfit("bad-argument", f"`{name}` is named twice", argument="channels")
            if not name or "/" in name or "\\" in name:
                yield Misfit("bad-argument", f"`{name}` is no name of a file in a case's folder", argument="channels")

    def keywords(self, folder: Path) -> Mapping[str, Any]:
        found = {"folder": folder / self.folder, "channels": self.channels, "mask": self.mask, "axes": self.axes}
        return found | {"broken": self.broken}


_Whole = {"type": "any"}


class Synthetic(SourceSetting):
    """Made-up samples, to see whether a network learns at all; the same ones every time.

    `blobs` are points around a middle per class, `rings` circles around each other, `xor` two classes in the corners of
    a square, `line` a target that is a weighted sum of the features: inputs `features`, normal noise added to each (to the
    target of `line`). `shapes` are pictures `image` [1, size, size] with a square or a disc, and its mask: 0, 1 for squares, 2
    for discs.
    """

    name = "synthetic"
    runs = "specc.data.synthetic:Synthetic"

    kind: Annotated[str, choice("blobs", "rings", "xor", "line", "shapes")]
    """What is made."""
    _: KeywordOnly
    count: Positive = 1000
    """The number of samples."""
    features: Positive = 2
    """The number of features."""
    classes: Annotated[int, Kind("a whole number from 2 on", whole(2, 1000))] = 2
    """The number of classes of `blobs` and `rings`."""
    noise: NonNegative = 0.1
    """The standard deviation of the noise."""
    size: Annotated[int, Kind("a whole number from 16 on", whole(16))] = 32
    """Height and width of `shapes`."""
    seed: Count = 0
    """Where its chance comes from; that of the section does not change the data."""

    def refusals(self) -> Iterable[Misfit]:
        if self.kind in ("rings", "xor") and self.features < 2:
            yield Misfit("bad-argument", f"`{self.kind}` need 2 features", argument="features")

    def keywords(self, folder: Path) -> Mapping[str, Any]:
        return {name: getattr(self, name) for name in self.fields}


class Pairs(SourceSetting):
    """Pairs of samples of another source: two inputs, and whether they are of the same class (1) or not (0).

    Every sample is in one pair at most, so that no part of the split sees samples of another. About half of the pairs
    are of one class.
    """

    name = "pairs"
    runs = "specc.data.pairs:Pairs"

    source: Annotated[Any, Held("a source of data, such as digits", _Whole, (), False, False, "source")]
    """The source of the samples, with a class each."""
    _: KeywordOnly
    inputs: Annotated[tuple[str, str], Dotted("a list of two names", items(TEXT, 2, 2))]
    """What the two inputs of the network are called."""

    def refusals(self) -> Iterable[Misfit]:
        if len(set(self.inputs)) < 2:
            yield Misfit("bad-argument", "the two inputs have different names", argument="inputs")

    def keywords(self, folder: Path) -> Mapping[str, Any]:
        entry = self.source.entry
        return {"runs": entry.runs, "keywords": entry.keywords(folder), "inputs": self.inputs}


class PythonFunction(SourceSetting):
    """What a function of your own returns: inputs by name and the target, arrays with the samples along axis 0.

    Nothing is run unless the command line says `--allow-python`; `check` then runs it too.
    """

    name = "python"
    runs = "specc.data.function:PythonFunction"

    function: String
    """The function as "module:function"; the module is looked for in the project's folder too."""

    def refusals(self) -> Iterable[Misfit]:
        module, _, name = self.function.partition(":")
        if not name.isidentifier() or not all(each.isidentifier() for each in module.split(".")):
            yield Misfit("bad-argument", f"`{self.function}` is not of the form module:function", argument="function")

    def keywords(self, folder: Path) -> Mapping[str, Any]:
        return {"function": self.function, "folder": folder}
