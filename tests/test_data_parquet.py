"""Parquet files: the same samples as from the CSV file of the same table, and what can be wrong with one."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import polars
import pytest

from specc.compiler import compile_text
from specc.data.sources import DataProblem, MissingData
from specc.data.tables import Table
from specc.train.training import train


def table(seed: int = 0, count: int = 60) -> polars.DataFrame:
    chance = np.random.default_rng(seed)
    return polars.DataFrame(
        {
            "rooms": chance.integers(1, 9, count),
            "area": chance.normal(100, 30, count),
            "share": chance.random(count).astype(np.float32),
            "town": chance.choice(["Ulm", "Bonn", "Trier"], count),
            "garden": chance.random(count) > 0.5,
            "kind": polars.Series(chance.choice(["new", "old"], count)).cast(polars.Categorical),
            "price": chance.normal(2e5, 5e4, count),
        }
    )


@pytest.mark.parametrize("target", ["price", "kind", "garden", "rooms"])
def test_a_parquet_file_gives_the_samples_of_its_csv_file(tmp_path: Path, target: str):
    for seed in range(3):
        frame = table(seed)
        frame.write_parquet(tmp_path / "t.parquet")
        frame.write_csv(tmp_path / "t.csv", float_precision=None)
        one, other = (Table(tmp_path / f"t.{end}", target) for end in ("parquet", "csv"))
        assert one.describe() == other.describe()
        (inputs, answers), (others, wanted) = one.load().arrays(), other.load().arrays()  # type: ignore[misc]
        np.testing.assert_array_equal(inputs["features"], others["features"])
        np.testing.assert_array_equal(answers, wanted)
        assert one.column("town") == frame["town"].to_list()


def test_a_parquet_file_trains(tmp_path: Path):
    table().write_parquet(tmp_path / "t.parquet")
    network = "network Net { input features: [10]; linear(1) }\n"
    settings = 'data table("t.parquet", target="price"); prepare normalize(per=feature); loss huber; epochs 1'
    found = compile_text(f"{network}train {{ {settings} }}\n", "a.net")
    assert train(found, out_root=tmp_path / "runs", project=tmp_path, device="cpu").status == "finished"


def test_what_is_wrong_with_a_parquet_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "t.parquet"
    with pytest.raises(MissingData, match="no such file"):
        Table(path, "price").describe()
    frame = table()
    frame.with_columns(
        area=polars.when(polars.col("area") > frame["area"][7] - 1e-9).then(None).otherwise(1.0)
    ).write_parquet(path)
    with pytest.raises(DataProblem, match=r"37 of 60 rows miss a value: row 4 \(area\), .* and 32 more"):
        Table(path, "price").describe()
    frame.with_columns(when=polars.date(2020, 1, 1)).write_parquet(path)
    with pytest.raises(DataProblem, match="column when is of the type Date"):
        Table(path, "price").describe()
    frame.clear().write_parquet(path)
    with pytest.raises(DataProblem, match="no rows"):
        Table(path, "price").describe()
    frame.write_parquet(path)
    with pytest.raises(DataProblem, match="no column cost"):
        Table(path, "cost").describe()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataProblem, match="no Parquet file, or damaged") as caught:
        Table(path, "price").describe()
    assert caught.value.file == path
    own = builtins.__import__

    def without(name: str, *more: object, **words: object) -> object:
        if name == "polars":
            raise ImportError(name)
        return own(name, *more, **words)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataProblem, match="needs polars") as caught:
        Table(path, "price").describe()
    assert "specc[tables]" in caught.value.help
