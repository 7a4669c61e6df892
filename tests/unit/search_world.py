"""A search function over a LanceDB index, with the engine whose vectors can be worked out; exact search by numpy."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handler import manifest
from handler.http import dispatch
from handler.models import Models
from handler.search.lance import LanceIndex
from handler.search.lance_pointer import PREFIX, STAMP
from handler.search.records import About, Gone, Item, identity
from handler.search.routes import table
from handler.search.settings import SearchSettings
from handler.service import Service
from tests.unit.fake_bundle import FakeFunction

DIMENSIONS = 8
ABOUT = About("tests/vectors", "ab" * 32, {"normalize": True}, DIMENSIONS)


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


QUERY = unit(np.random.default_rng(99).normal(size=DIMENSIONS))


class SearchFunction(FakeFunction):
    """A deployed search function. `created_at` and `vectors` (its `vectors_sha256`) are of its bundle's manifest."""

    def __init__(
        self,
        bundle: Path,
        index: str,
        url_buckets: tuple[str, ...] = (),
        created_at: str = "",
        vectors: str = "",
        **settings_: Any,
    ) -> None:
        super().__init__(bundle, **settings_)
        self.table = table(SearchSettings(index, url_buckets))
        if created_at or vectors:
            path = bundle / "manifest.json"
            content = json.loads(path.read_text())
            content["models"][0]["vectors_sha256"] = vectors
            path.write_text(json.dumps({**content, "created_at": created_at}))
            settings = self.service.settings
            self.service = Service(settings, Models(manifest.load(bundle), settings, self.loader))

    def invoke(self, event: Any) -> dict[str, Any]:
        return dispatch.handle(self.service, event, None, self.table)

    def search(self, body: Any) -> tuple[int, Any]:
        return self.http("POST", "/v1/search", json.dumps(body).encode())

    def change(self, body: Any) -> tuple[int, Any]:
        return self.http("POST", "/v1/index", json.dumps(body).encode())


def item(
    key: str, vector: Sequence[float] | NDArray[Any], seen_at: int = 1, bucket: str = "photos", **more: Any
) -> Item:
    facts: dict[str, Any] = {"etag": "e", "size": 10, "last_modified": 5, "width": 8, "height": 6, **more}
    return Item(bucket=bucket, key=key, seen_at=seen_at, vector=unit(np.asarray(vector, np.float64)), **facts)


def some(count: int, seed: int = 0, seen_at: int = 1) -> list[Item]:
    """Items of random directions, of several sizes and two buckets."""
    random = np.random.default_rng(seed)
    vectors = unit(random.normal(size=(count, DIMENSIONS)))
    return [
        item(
            f"{('2025', '2026')[number % 2]}/{number:05d}.png",
            vectors[number],
            seen_at,
            ("photos", "drawings")[number % 3 == 0],
            width=int(random.integers(1, 100)),
            height=int(random.integers(1, 100)),
            size=int(random.integers(1, 10_000)),
            last_modified=int(random.integers(0, 10**12)),
        )
        for number in range(count)
    ]


def exact(items: Sequence[Item], vector: NDArray[Any], k: int) -> list[tuple[str, float]]:
    """Return the names and cosines of the nearest, worked out by numpy in float64."""
    matrix = np.stack([one.vector for one in items]).astype(np.float64)
    cosines = matrix @ vector / np.linalg.norm(matrix, axis=1) / np.linalg.norm(vector)
    best = np.argsort(-cosines, kind="stable")[:k]
    return [(identity(items[place].bucket, items[place].key), float(cosines[place])) for place in best]


def made(path: Path) -> LanceIndex:
    """An index of ABOUT's vectors in a directory."""
    index = LanceIndex(str(path))
    index.prepare(ABOUT)
    return index


def content(index: LanceIndex) -> dict[str, tuple[str, bytes]]:
    """Return what can be found: the etag and the vector of each."""
    hits = index.query(QUERY, index.about(), 1000, with_vectors=True)
    return {identity(hit.bucket, hit.key): (hit.metadata["etag"], rounded(hit.vector)) for hit in hits}


def expected(records: Sequence[Item | Gone]) -> dict[str, tuple[str, bytes]]:
    """Return what `content` must be after all these records."""
    return {name: (one.etag, rounded(one.vector)) for name, one in newest_of(records).items()}


def rounded(vector: Any) -> bytes:
    return bytes(np.round(vector, 5).tobytes())


def newest_of(records: Sequence[Item | Gone]) -> dict[str, Item]:
    """Return what must be found after all these records, in whatever order they came: worked out one by one."""
    found: dict[str, Item] = {}
    for name in {identity(record.bucket, record.key) for record in records}:
        of_it = [record for record in records if identity(record.bucket, record.key) == name]
        last = max(record.seen_at for record in of_it)
        final = [record for record in of_it if record.seen_at == last]
        if any(isinstance(record, Gone) for record in final):
            continue
        items = [record for record in final if isinstance(record, Item)]
        found[name] = max(items, key=lambda one: one.etag)
    return found


def two_tables() -> tuple[str, str]:
    """Name tables of two rebuilds, the earlier first, as of now: one of yesterday is removed as a killed rebuild's.

    The last letters alone would have the later one first.
    """
    now = datetime.now(UTC)
    earlier, later = ((now - timedelta(seconds=ago)).strftime(STAMP) for ago in (2, 1))
    return f"{PREFIX}{earlier}-ffffffff", f"{PREFIX}{later}-00000000"
