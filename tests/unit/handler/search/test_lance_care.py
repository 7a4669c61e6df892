"""What LanceDB cannot do with an index that changes for long, which is made anew then: results, files, segments."""

from pathlib import Path

import numpy as np
import pytest

from handler.search import lance_tuning
from handler.search.lance import LanceIndex
from handler.search.records import Gone, Item, identity
from tests.unit.search_world import ABOUT, DIMENSIONS, exact, item, made, unit

ROWS, PLACES = 12_000, 5
NUMBERS = np.random.default_rng(1)
ALIKE = unit(NUMBERS.normal(size=(PLACES, DIMENSIONS)))


@pytest.fixture
def items() -> list[Item]:
    """Photographs of five places, one place after the other."""
    noise = NUMBERS.normal(0, 0.05, (ROWS, DIMENSIONS))
    vectors = unit(np.repeat(ALIKE, ROWS // PLACES, axis=0) + noise)
    return [item(f"{number:05d}", vector) for number, vector in enumerate(vectors)]


@pytest.fixture
def index(tmp_path: Path, items: list[Item], monkeypatch: pytest.MonkeyPatch) -> LanceIndex:
    """An index of the items whose files are put together after each write."""
    index = made(tmp_path / "index")
    index.put(items, ABOUT)
    lance_tuning.create_index(index.table())
    monkeypatch.setattr(lance_tuning, "EVERY", 1)
    monkeypatch.setattr(lance_tuning, "FRAGMENTS", 1)
    return index


def fragments(index: LanceIndex) -> int:
    return int(index.table().stats()["fragment_stats"]["num_fragments"])


def segments(index: LanceIndex) -> list[int]:
    return [int(one.num_segments) for one in index.table().list_indices()]


def as_exact(index: LanceIndex, items: list[Item]) -> None:
    """Hold the hits to exact search: 8 bits a number do not tell the order of the tenth that are nearly the same."""
    for query in ALIKE:
        expected = exact(items, query, 10) if items else []
        hits = index.query(query, ABOUT, 10)
        assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected], abs=0.002)
        assert [identity(hit.bucket, hit.key) for hit in hits[:1]] == [name for name, _ in expected[:1]]


@pytest.mark.parametrize(("left", "indexed"), [(11_000, [1]), (10_400, [1]), (2_400, []), (0, [])])
def test_when_all_that_are_alike_are_gone_files_are_put_together_all_the_same(
    index: LanceIndex, items: list[Item], caplog: pytest.LogCaptureFixture, left: int, indexed: list[int]
) -> None:
    """As when the photographs of one place are removed. LanceDB fails at their part of the index, each time."""
    index.delete([Gone(one.bucket, one.key, 3) for one in items[left:]])

    assert caplog.messages == []
    assert (index.counts(), segments(index)) == ((left, ROWS - left), indexed)
    as_exact(index, items[:left])


def test_an_index_that_is_written_for_long_has_few_segments_and_files(
    index: LanceIndex, items: list[Item], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """LanceDB adds a segment each time, and puts no files of two segments together: queries take longer and longer."""
    monkeypatch.setattr(lance_tuning, "SEGMENTS", 4, raising=False)
    new = [item(f"new-{number}", vector) for number, vector in enumerate(unit(NUMBERS.normal(size=(60, DIMENSIONS))))]
    most = []
    for start in range(0, 60, 3):
        index.put(new[start : start + 3], ABOUT)
        most.append((max(segments(index)), fragments(index)))

    assert caplog.messages == []
    assert max(most) <= (4, 5)
    as_exact(index, [*items, *new])


def test_that_an_index_is_too_large_to_be_made_anew_between_two_writes_is_told(
    index: LanceIndex, items: list[Item], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A function has five minutes for an update; a rebuild has fifteen, or a machine of its own."""
    monkeypatch.setattr(lance_tuning, "MOST_ROWS", 1_000)
    monkeypatch.setenv("OPENCLIP_SEARCH_REBUILD", "batch index --stack photos")
    again = "so searches take longer and longer: build it again, by `batch index --stack photos`"

    index.delete([Gone(one.bucket, one.key, 3) for one in items[11_000:]])
    told = f"the index at {index.place} has a part without vectors, with which LanceDB cannot go on, {again}"
    assert caplog.messages == [told]

    caplog.clear()
    monkeypatch.setattr(lance_tuning, "SEGMENTS", 1)
    index.put([item("newer", ALIKE[0])], ABOUT)
    assert caplog.messages[0] == f"the index at {index.place} has 1 segments, all of which a query reads, {again}"
    as_exact(index, [*items[:11_000], item("newer", ALIKE[0])])
