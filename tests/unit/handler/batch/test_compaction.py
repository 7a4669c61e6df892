"""Many small files become few, and whoever reads meanwhile, by the query of the docs, sees the same state."""

import os
import random
import shutil
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.batch import compaction, parquet
from handler.batch.compaction import GRACE, MARGIN
from handler.batch.rows import Embedded, Row, json_lines
from handler.batch.store import Directory, Entry
from tests.unit.batch_world import newest

MODEL, OTHER = "0123456789ab", "ba9876543210"
ABOUT = {"manifest_sha256": MODEL, "model": "tests/letters", "settings": {"normalize": True}}
WRITTEN = 1_800_000_000_000  # milliseconds: when the small files were
State = dict[str, list[float]]


class Killed(BaseException):
    """As a signal would end the process: nothing of ours catches it."""


class Watched:
    """A directory that tells of every change, before and after which a process may be killed."""

    def __init__(self, root: Path, before: Callable[[str, str], None]) -> None:
        self.inner, self._before = Directory(root), before

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def write(self, name: str, data: bytes) -> None:
        self._before("write", name)
        self.inner.write(name, data)

    def remove(self, name: str) -> None:
        self._before("remove", name)
        self.inner.remove(name)


def embedded(key: str, seen_at: int, level: float) -> Embedded:
    return Embedded(
        Row("photos", key, 9, seen_at), f"etag{level}", 9, seen_at, 8, 6, np.array([level, 1.0], np.float32)
    )


def fill(root: Path, seed: int, files: int = 30) -> State:
    """Write a run and the arrivals after it at random; returns what the latest record of each key is."""
    chance = random.Random(seed)  # noqa: S311 - the same for every run
    store, latest = Directory(root), dict[str, tuple[int, float | None]]()
    clock = iter(range(1_700_000_000_000, 1_800_000_000_000))

    def record(key: str, level: float | None) -> int:
        latest[key] = (next(clock), level)
        return latest[key][0]

    base = [embedded(f"{n}.png", record(f"{n}.png", n / 100), n / 100) for n in range(12)]
    store.write(f"vectors/model={MODEL}/run=first/00000000.parquet", parquet.write(base, 2, ABOUT))
    kinds = []
    for number in range(files):
        keys = chance.sample([f"{n}.png" for n in range(20)], 3)
        if chance.random() < 0.4:
            lines = [{"bucket": "photos", "key": key, "seen_at": record(key, None)} for key in keys]
            kinds.append((f"deletions/model={MODEL}/run=arrivals/{number:020x}.jsonl", json_lines(lines)))
        else:
            levels = [chance.random() for _ in keys]
            rows = [embedded(key, record(key, level), level) for key, level in zip(keys, levels, strict=True)]
            kinds.append((f"vectors/model={MODEL}/run=arrivals/{number:020x}.parquet", parquet.write(rows, 2, ABOUT)))
    chance.shuffle(kinds)  # files come in another order than the looks that they tell of
    for name, data in kinds:
        store.write(name, data)
        os.utime(root / name, (WRITTEN / 1000,) * 2)
    return {key: [float(np.float32(level)), 1.0] for key, (_, level) in latest.items() if level is not None}


def small(root: Path) -> list[str]:
    found = [
        entry.name for kind in ("vectors", "deletions") for entry in Directory(root).list(f"{kind}/model={MODEL}/")
    ]
    return [name for name in found if "run=arrivals" in name]


def age(root: Path, to: int) -> None:
    """Let all files be written at a time."""
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (to / 1000,) * 2)


def compact(store: Any, at: int) -> dict[str, Any]:
    return compaction.run(store, MODEL, at)


@pytest.mark.parametrize("seed", range(3))
def test_the_state_is_the_same_before_at_each_step_and_after(tmp_path: Path, seed: int) -> None:
    wanted = fill(tmp_path, seed)
    steps: list[str] = []

    def look(kind: str, name: str) -> None:
        steps.append(kind)
        assert newest(tmp_path) == wanted, f"before the {kind} of {name}"

    store = Watched(tmp_path, look)
    assert compact(store, WRITTEN + MARGIN)["compacted"] == 30
    assert "remove" not in steps  # whoever has listed the small files reads them yet
    age(tmp_path, WRITTEN)
    assert compact(store, WRITTEN + GRACE)["removed"] == 30
    assert newest(tmp_path) == wanted
    assert sorted(name.split("/")[0] for name in small(tmp_path)) == ["deletions", "vectors"]
    assert steps.count("write") == 3
    assert not list(tmp_path.glob("compactions/*/*"))


def steps_of(root: Path) -> int:
    """Count the changes of two runs, the second when the grace is over."""
    made: list[str] = []
    store = Watched(root, lambda kind, _: made.append(kind))
    compact(store, WRITTEN + MARGIN)
    age(root, WRITTEN)
    compact(store, WRITTEN + GRACE)
    return len(made)


def test_killed_at_any_step_it_loses_nothing_and_the_next_runs_finish(tmp_path: Path) -> None:
    fill(tmp_path / "counted", 1, 12)
    steps = steps_of(tmp_path / "counted")
    assert steps > 12
    for kill_at in range(steps):
        root = tmp_path / f"killed-{kill_at}"
        wanted, left = fill(root, 1, 12), iter(range(kill_at))

        def strike(_kind: str, _name: str, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Killed

        with pytest.raises(Killed):
            steps_of_killed(root, strike)
        assert newest(root) == wanted
        for _ in range(3):
            age(root, WRITTEN)
            compact(Directory(root), WRITTEN + GRACE)
            assert newest(root) == wanted
        assert len(small(root)) <= 4, small(root)  # those of the run that was killed, and of the next
        shutil.rmtree(root)


def steps_of_killed(root: Path, strike: Callable[[str, str], None]) -> None:
    store = Watched(root, strike)
    compact(store, WRITTEN + MARGIN)
    age(root, WRITTEN)
    compact(store, WRITTEN + GRACE)


def test_another_run_at_any_step_changes_nothing(tmp_path: Path) -> None:
    """Two schedules, or a second call by hand: the other one runs as a whole between two steps."""
    wanted = fill(tmp_path, 2)

    def other(_kind: str, _name: str) -> None:
        compact(Directory(tmp_path), WRITTEN + GRACE)
        assert newest(tmp_path) == wanted

    for _ in range(3):
        compact(Watched(tmp_path, other), WRITTEN + GRACE)
        age(tmp_path, WRITTEN)
    assert newest(tmp_path) == wanted
    assert len(small(tmp_path)) <= 4


def test_what_arrives_meanwhile_stays_and_is_compacted_later(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    compact(Directory(tmp_path), WRITTEN + MARGIN)
    late = f"vectors/model={MODEL}/run=arrivals/{99:020x}.parquet"
    Directory(tmp_path).write(late, parquet.write([embedded("3.png", 1_790_000_000_000, 0.5)], 2, ABOUT))
    assert newest(tmp_path)["3.png"] == [0.5, 1.0]
    compact(Directory(tmp_path), WRITTEN + GRACE)
    assert late in small(tmp_path)


def test_a_late_file_with_an_old_look_cannot_bring_back_what_was_deleted(tmp_path: Path) -> None:
    wanted = fill(tmp_path, 4)
    for _ in range(2):
        compact(Directory(tmp_path), WRITTEN + GRACE)
        age(tmp_path, WRITTEN)
    gone = next(key for key in (f"{n}.png" for n in range(20)) if key not in wanted)
    rows = parquet.write([embedded(gone, 1_700_000_000_001, 0.5)], 2, ABOUT)
    Directory(tmp_path).write(f"vectors/model={MODEL}/run=arrivals/{98:020x}.parquet", rows)
    assert newest(tmp_path) == wanted


@pytest.mark.parametrize(("old", "compacted"), [(7, 0), (8, 8)])
def test_only_old_files_and_only_enough_of_them_are_touched(tmp_path: Path, old: int, compacted: int) -> None:
    store = Directory(tmp_path)
    for number in range(20):
        name = f"vectors/model={MODEL}/run=arrivals/{number:020x}.parquet"
        store.write(name, parquet.write([embedded(f"{number}.png", number, 0.1)], 2, ABOUT))
        os.utime(tmp_path / name, ((WRITTEN + (0 if number < old else 60_000)) / 1000,) * 2)
    assert compact(store, WRITTEN + MARGIN)["compacted"] == compacted


def test_another_model_and_the_runs_are_left_alone(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    before = {entry: (tmp_path / entry.name).read_bytes() for entry in Directory(tmp_path).list("vectors/")}
    assert compaction.run(Directory(tmp_path), OTHER, WRITTEN + GRACE)["compacted"] == 0
    for _ in range(2):
        compact(Directory(tmp_path), WRITTEN + GRACE)
        age(tmp_path, WRITTEN)
    runs: list[Entry] = [entry for entry in before if "run=first" in entry.name]
    assert [(tmp_path / entry.name).read_bytes() for entry in runs] == [before[entry] for entry in runs]


def test_small_files_do_not_wait_behind_a_few_that_are_nearly_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, 3, files=30)
    sizes = {name: (tmp_path / name).stat().st_size for name in small(tmp_path)}
    half = 4 * max(sizes.values())
    monkeypatch.setattr(compaction, "MOST_BYTES", 2 * half)
    monkeypatch.setattr(compaction, "LARGE", half)
    for number in range(2):  # what compactions before made, of less than half of what one file may have

        def written(rows: int, number: int = number) -> bytes:
            return parquet.write([embedded(f"big-{number}-{row}.png", 9, row / 7) for row in range(rows)], 2, ABOUT)

        rows = bisect_left(range(10_000), half - min(sizes.values()) // 2, key=lambda rows: len(written(rows)))
        name = f"vectors/model={MODEL}/run=arrivals/00-compacted-{number}.parquet"
        Directory(tmp_path).write(name, written(rows))
        assert (tmp_path / name).stat().st_size < half
        os.utime(tmp_path / name, ((WRITTEN - 1) / 1000,) * 2)
    assert compact(Directory(tmp_path), WRITTEN + MARGIN)["compacted"] > 20


def test_a_large_file_is_not_written_again_with_each_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 3, files=10)
    name = f"vectors/model={MODEL}/run=arrivals/compacted-0.parquet"
    data = parquet.write([embedded(f"large-{row}.png", 9, row / 7) for row in range(100)], 2, ABOUT)
    Directory(tmp_path).write(name, data)
    monkeypatch.setattr(compaction, "LARGE", len(data))
    assert len(data) > max((tmp_path / other).stat().st_size for other in small(tmp_path) if other != name)
    age(tmp_path, WRITTEN)
    assert compact(Directory(tmp_path), WRITTEN + MARGIN)["compacted"] == 10
    age(tmp_path, WRITTEN)
    compact(Directory(tmp_path), WRITTEN + GRACE)
    assert (tmp_path / name).read_bytes() == data
