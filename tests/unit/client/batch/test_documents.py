"""The Python of docs/collections.md runs as it stands, over files of the real worker, and agrees with its SQL."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.batch import shard
from handler.batch.rows import json_lines
from tests.documents import marked
from tests.unit.batch_world import SOURCE, World, newest, png, vector, world


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "bundle") as found:
        yield found


def plan(made: World, run: str, seen_at: int, keys: list[str]) -> None:
    rows = [{"bucket": SOURCE, "key": key, "size": 80, "seen_at": seen_at} for key in keys]
    name = f"runs/{run}/plan/00000000.jsonl"
    made.work.store.write(name, json_lines(rows))
    shard.run(name, made.work, 0.5)


def executed(folder: Path, monkeypatch: pytest.MonkeyPatch, model: str = "") -> dict[str, Any]:
    """Run the blocks one after the other, where `vectors` is the directory of the results; of one model, or of all."""
    monkeypatch.chdir(folder)
    blocks = marked(__file__, "docs/collections.md", "python")
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    for block in blocks:
        text = block.text.replace('root / "vectors"', f'root / "vectors" / "model={model}"') if model else block.text
        exec(text, names)  # noqa: S102 - it is the document
    return names


@pytest.mark.parametrize("deletions", [True, False])
def test_pandas_finds_what_duckdb_finds(
    made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deletions: bool
) -> None:
    for number in range(6):
        made.put(f"{number}.png", png(10 * number))
    plan(made, "first", 1_700_000_000_000, [f"{number}.png" for number in range(6)])
    made.put("2.png", png(200))
    plan(made, "second", 1_700_000_001_000, ["2.png"])
    if deletions:
        went = [("3.png", 1_700_000_000_500), ("2.png", 1_700_000_000_500), ("4.png", 1_700_000_000_000)]
        lines = [{"bucket": SOURCE, "key": key, "seen_at": seen} for key, seen in went]
        made.work.store.write(made.work.target("deletions", "arrivals", "one", "jsonl"), json_lines(lines))
    made.download(tmp_path / "vectors")

    found = executed(tmp_path, monkeypatch)

    [query] = marked(__file__, "docs/collections.md", "sql")
    told = {row.key: list(row.vector) for row in found["current"].itertuples()}
    assert told == newest(tmp_path / "vectors", query.text)
    assert list(told) == ["0.png", "1.png", "2.png"] + ([] if deletions else ["3.png", "4.png"]) + ["5.png"]
    np.testing.assert_allclose(told["2.png"], vector(200), atol=1e-6)
    nearest = list(found["nearest"]["key"])
    assert nearest == ["0.png", "1.png", "5.png" if deletions else "3.png"]
    if not deletions:
        np.testing.assert_allclose(found["nearest"]["cosine"].iloc[0], 1, atol=1e-6)


def test_vectors_of_8_bits_have_the_same_nearest(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum of products of int8 is an int8 in numpy, whatever does not fit."""
    for number in range(6):
        made.put(f"{number}.png", png(40 * number))
    small = World(made.s3, made.work._replace(int8=True), made.service)
    plan(small, "first", 1_700_000_000_000, [f"{number}.png" for number in range(6)])
    small.download(tmp_path / "vectors")

    nearest = executed(tmp_path, monkeypatch)["nearest"]

    exact = [np.dot(vector(40 * number), vector(0)) for number in range(3)]
    assert list(nearest["key"]) == ["0.png", "1.png", "2.png"]
    np.testing.assert_allclose(nearest["cosine"], exact, atol=0.01)


def test_of_several_bundles_one_is_read(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ["a.png", "b.png", "c.png"]
    for key in keys:
        made.put(key, png(10))
    plan(made, "first", 1_700_000_000_000, keys)
    other = World(made.s3, made.work._replace(manifest_sha256="ab" * 32), made.service)
    made.put("a.png", png(200))
    plan(other, "second", 1_700_000_001_000, ["a.png"])
    lines = json_lines([{"bucket": SOURCE, "key": "c.png", "seen_at": 1_700_000_002_000}])
    other.work.store.write(other.work.target("deletions", "arrivals", "one", "jsonl"), lines)
    made.download(tmp_path / "vectors")
    model = made.work.manifest_sha256[:12]

    [query] = marked(__file__, "docs/collections.md", "sql")
    text = query.text.replace("vectors/*/*/*.parquet", f"vectors/model={model}/*/*.parquet")
    assert newest(tmp_path / "vectors", text) == {
        key: pytest.approx(vector(10), abs=1e-6) for key in ("a.png", "b.png")
    }
    found = executed(tmp_path, monkeypatch, model)["current"]
    assert list(found["key"]) == ["a.png", "b.png"]
