"""CIFAR-10 in its binary version (Krizhevsky 2009): a byte of label and 3072 of pixels a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from specc.data.sources import DataFacts, DataProblem, Dataset, MissingData

_RECORD = 1 + 3 * 32 * 32
_FILES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_HELP = "take the binary version, cifar-10-binary.tar.gz, and give the folder that data_batch_1.bin is in"


@dataclass(frozen=True, slots=True)
class Cifar10:
    """A folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin: the input "image" [3, 32, 32] in 0..1.

    The pictures of test_batch.bin come last and are the official test part.

    Example:
        Cifar10(Path("cifar-10-batches-bin")).describe().count  ->  60000
    """

    folder: Path

    def describe(self) -> DataFacts:
        *train, test = (_count(each) for each in self._files())
        return DataFacts(
            {"image": (3, 32, 32)}, {"image": "float32"}, "class", (), 10, _CLASSES, sum(train) + test, test=test
        )

    def load(self) -> Dataset:
        import numpy as np

        from specc.data.memory import MemoryDataset

        facts = self.describe()
        records = []
        for path in self._files():
            found = np.fromfile(path, np.uint8).reshape(-1, _RECORD)
            wrong = np.flatnonzero(found[:, 0] >= len(_CLASSES))
            if wrong.size:
                at = int(wrong[0])
                raise DataProblem(
                    f"picture {at} has the label {found[at, 0]}; labels are 0 to 9", "copy it again", path
                )
            records.append(found)
        whole = np.concatenate(records)
        pixels = whole[:, 1:].astype(np.float32).reshape(-1, 3, 32, 32)
        pixels /= np.float32(255)
        return MemoryDataset(facts, {"image": pixels}, whole[:, 0].astype(np.int64))

    def _files(self) -> list[Path]:
        """Those that train by number, then the one that tests."""
        if self.folder.is_file():
            raise DataProblem("this is a file, not a folder", _HELP, self.folder)
        if not self.folder.is_dir():
            help = "check the path; it starts at the project's folder"
            raise MissingData("there is no such folder", help, self.folder)
        files = [self.folder / name for name in _FILES]
        for path in files:
            if path.is_file():
                continue
            pickled = path.with_suffix("")
            if pickled.exists():
                message = "this is the Python version, whose pickles can run code when they are read"
                raise DataProblem(message, _HELP, pickled)
            raise MissingData("there is no such file", _HELP, path)
        return files


def _count(path: Path) -> int:
    """The number of pictures, from the length of the file."""
    count, rest = divmod(path.stat().st_size, _RECORD)
    if rest or not count:
        message = f"it is {path.stat().st_size:,} bytes long, which is no multiple of {_RECORD:,} (a picture)"
        raise DataProblem(message, "it is cut short, or not the binary version: copy it again", path)
    return count
