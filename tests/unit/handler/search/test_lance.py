"""The index in LanceDB, held to exact search by numpy: results, filters, recall."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.errors import ApiError
from handler.search import lance_tuning
from handler.search.lance import LanceIndex
from handler.search.lance_table import after
from handler.search.records import Gone, Item, Range, Where, identity
from tests.unit.search_world import ABOUT, DIMENSIONS, QUERY, exact, item, made, some, unit

KEYS = (
    "a.png",
    "100%_x.png",
    "100a_x.png",
    "it's.png",
    "图/像.png",
    "图像.png",
    "\U0010ffff.png",
    'a"b\\.png',
    "A.png",
)


@pytest.fixture
def index(tmp_path: Path) -> LanceIndex:
    return made(tmp_path / "index")


def found(index: LanceIndex, vector: Any = QUERY, k: int = 1000, where: Where | None = None) -> list[tuple[str, float]]:
    return [(identity(hit.bucket, hit.key), hit.score) for hit in index.query(vector, ABOUT, k, where)]


def same(results: Sequence[tuple[str, float]], expected: Sequence[tuple[str, float]]) -> None:
    assert [name for name, _ in results] == [name for name, _ in expected]
    assert [score for _, score in results] == pytest.approx([score for _, score in expected], abs=1e-6)


def test_a_query_finds_what_exact_search_finds(index: LanceIndex) -> None:
    items = some(500)
    for start in range(0, 500, 100):
        index.put(items[start : start + 100], ABOUT)
    assert index.count() == 500
    for number in range(20):
        vector = unit(np.random.default_rng(number).normal(size=DIMENSIONS))
        same(found(index, vector, 10), exact(items, vector, 10))
    [first] = index.query(QUERY, ABOUT, 1, with_vectors=True)
    assert first.vector is not None
    assert float(first.vector @ QUERY) == pytest.approx(first.score, abs=1e-6)


FILTERS: list[tuple[Where, Callable[[Item], bool]]] = [
    (Where(bucket="drawings"), lambda one: one.bucket == "drawings"),
    (Where(bucket=""), lambda one: False),
    (Where(prefix="2026/"), lambda one: one.key.startswith("2026/")),
    (Where(prefix=""), lambda one: True),
    (Where(width=Range(20, 60)), lambda one: 20 <= one.width <= 60),
    (Where(height=Range(gte=50)), lambda one: one.height >= 50),
    (Where(size=Range(lte=100)), lambda one: one.size <= 100),
    (Where(last_modified=Range(10**11, 5 * 10**11)), lambda one: 10**11 <= one.last_modified <= 5 * 10**11),
    (Where(size=Range(gte=2**63 - 1)), lambda one: False),
    (
        Where("photos", "2025/00", Range(lte=70), Range(gte=10), Range(1, 9000)),
        lambda one: (
            one.bucket == "photos"
            and one.key.startswith("2025/00")
            and one.width <= 70
            and one.height >= 10
            and one.size <= 9000
        ),
    ),
]


@pytest.mark.parametrize("indexed", [False, True])
def test_a_filter_gives_the_nearest_of_what_it_lets_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indexed: bool
) -> None:
    monkeypatch.setattr(lance_tuning, "FLAT_ROWS", 100 if indexed else 10**9)
    monkeypatch.setattr(lance_tuning, "PARTITION_ROWS", 20)
    index, items = made(tmp_path / "index"), some(600)
    index.put(items, ABOUT)
    lance_tuning.create_index(index.table())
    assert bool(index.table().list_indices()) == indexed
    for where, allows in FILTERS:
        through = [one for one in items if allows(one)]
        same(found(index, QUERY, 20, where), exact(through, QUERY, 20) if through else [])


@pytest.mark.parametrize(
    "prefix", [*(key[:length] for key in KEYS for length in (1, 3, 5)), "%", "_", "' OR 1=1 --", "'"]
)
def test_a_prefix_is_what_a_key_begins_with_and_nothing_else(tmp_path_factory: Any, prefix: str) -> None:
    index = odd_keys(tmp_path_factory)
    expected = {key for key in KEYS if key.startswith(prefix)}
    assert {hit.key for hit in index.query(QUERY, ABOUT, 100, Where(prefix=prefix))} == expected
    assert {hit.key for hit in index.query(QUERY, ABOUT, 100, Where(bucket=prefix))} == set()


_odd: list[LanceIndex] = []


def odd_keys(tmp_path_factory: Any) -> LanceIndex:
    if not _odd:
        _odd.append(made(tmp_path_factory.mktemp("odd") / "index"))
        _odd[0].put([item(key, QUERY) for key in KEYS], ABOUT)
    return _odd[0]


@given(st.text(min_size=1, max_size=4), st.text(max_size=6))
def test_the_end_of_a_prefix_is_right_behind_all_that_begin_with_it(prefix: str, rest: str) -> None:
    end = after(prefix)
    assert end is None or (prefix + rest).encode() < end.encode()
    if end is not None:
        below = end[:-1] + chr(ord(end[-1]) - (0x801 if ord(end[-1]) == 0xE000 else 1))
        assert (below + "\U0010ffff" * 3).startswith(prefix)
    else:
        assert set(prefix) == {"\U0010ffff"}


def test_a_damaged_or_foreign_directory_is_told(tmp_path: Path) -> None:
    index, items = made(tmp_path / "index"), some(20)
    index.put(items, ABOUT)
    for path in (tmp_path / "index").rglob("*.lance"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(ApiError) as caught:
        LanceIndex(str(tmp_path / "index")).query(QUERY, ABOUT, 3)
    assert (caught.value.code, caught.value.status) == ("index_unavailable", 503)
    assert ".rs:" not in caught.value.message
    (tmp_path / "file").write_text("")
    with pytest.raises(ApiError) as caught:
        LanceIndex(str(tmp_path / "file")).about()
    assert caught.value.code in ("index_unavailable", "index_not_found")


def test_indexed_search_keeps_the_recall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance_tuning, "FLAT_ROWS", 100)
    monkeypatch.setattr(lance_tuning, "PARTITION_ROWS", 50)
    index, items = made(tmp_path / "index"), some(3_000)
    index.put(items, ABOUT)
    lance_tuning.create_index(index.table())
    random.seed(1)
    hits = 0
    for number in range(50):
        vector = unit(np.random.default_rng(number).normal(size=DIMENSIONS))
        best = {name for name, _ in exact(items, vector, 10)}
        hits += len(best & {name for name, _ in found(index, vector, 10)})
    assert hits / 500 >= 0.99


def test_the_first_of_few_hits_is_the_nearest_among_images_that_are_nearly_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As frames of one camera are: 8 bits a number do not tell their order."""
    monkeypatch.setattr(lance_tuning, "FLAT_ROWS", 100)
    numbers, camera = np.random.default_rng(1), np.eye(DIMENSIONS)[0]
    frames = unit(camera + numbers.normal(0, 0.005, (2_000, DIMENSIONS)))
    others = unit(numbers.normal(size=(200, DIMENSIONS)))
    items = [item(f"{number}", vector) for number, vector in enumerate([*frames, *others])]
    index = made(tmp_path / "index")
    index.put(items, ABOUT)
    lance_tuning.create_index(index.table())
    for query in unit(camera + numbers.normal(0, 0.3, (30, DIMENSIONS))):
        same(found(index, query, 1), exact(items, query, 1))
        same(found(index, query, 1), found(index, query, 10)[:1])


def test_what_changes_after_the_index_was_made_is_found_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance_tuning, "FLAT_ROWS", 100)
    monkeypatch.setattr(lance_tuning, "PARTITION_ROWS", 50)
    index, items = made(tmp_path / "index"), some(1_000)
    index.put(items, ABOUT)
    lance_tuning.create_index(index.table())
    changed = [one._replace(vector=np.roll(one.vector, 1), seen_at=2) for one in items[:400]]
    index.put(changed, ABOUT)
    index.delete([Gone(one.bucket, one.key, 3) for one in items[300:500]])
    now = [*changed[:300], *items[500:]]
    for number in range(20):
        vector = unit(np.random.default_rng(number).normal(size=DIMENSIONS))
        same(found(index, vector, 10), exact(now, vector, 10))


def test_in_lambda_the_caches_are_a_share_of_the_memory() -> None:
    limits = lance_tuning.caches({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "2048"})
    assert 0 < sum(limits.values()) < 2048e6 / 2
    assert lance_tuning.caches({}) == {}


def test_an_index_with_bounded_caches_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    index, items = made(tmp_path / "index"), some(50)
    index.put(items, ABOUT)
    same(found(index, QUERY, 5), exact(items, QUERY, 5))
