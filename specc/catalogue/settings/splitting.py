"""Ways to split data other than by fractions: folds, and a file that says it."""

from __future__ import annotations

from typing import Annotated

from specc.catalogue.arguments import Flag, KeywordOnly, Kind, String, whole
from specc.catalogue.setting import DottedName, Setting


class KFold(Setting):
    """Cross-validation: every sample is in the test part of one of `n` folds; `fold=` says which one this run is."""

    role = "split"
    name = "kfold"

    n: Annotated[int, Kind("a whole number from 2 on", whole(2))]
    """The number of folds."""
    _: KeywordOnly
    group: DottedName = ""
    """Samples that are alike in this (a patient) stay in one part: a column of a table, a field of arrays, a column of
    samples.csv in a folder."""
    stratify: Flag = True
    """Whether every class is spread over the folds in proportion."""


class FoldFile(Setting):
    """A CSV file that says for every sample its part, or its fold; may be written as its name alone.

    Its columns are `sample` (a number from 0 on, or the name of the file or folder) and `part` (train, validation or
    test) or `fold` (from 1 on).
    """

    role = "split"
    name = "file"

    file: String
    """The file, from the project's folder on."""
