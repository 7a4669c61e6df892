"""Files as batches write them (docs/collections.md), by pyarrow: a writer that is not the one under test."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from handler.search.records import About, Gone, Item
from tests.unit.search_world import ABOUT


def parquet(items: Sequence[Item], about: About = ABOUT, scale: int = 0) -> bytes:
    """Return a file of vectors; with `scale` they are whole numbers of 8 bits."""
    kind = pa.int8() if scale else pa.float32()
    matrix = np.stack([one.vector for one in items]) if items else np.empty((0, about.dimensions))
    numbers = np.rint(matrix * scale).astype(np.int8) if scale else matrix.astype(np.float32)
    moment = pa.timestamp("ms", tz="UTC")
    columns: dict[str, Any] = {
        "bucket": pa.array([one.bucket for one in items], pa.string()),
        "key": pa.array([one.key for one in items], pa.string()),
        "etag": pa.array([one.etag for one in items], pa.string()),
        "size": pa.array([one.size for one in items], pa.int64()),
        "last_modified": pa.array([one.last_modified for one in items], moment),
        "seen_at": pa.array([one.seen_at for one in items], moment),
        "width": pa.array([one.width for one in items], pa.int32()),
        "height": pa.array([one.height for one in items], pa.int32()),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel(), kind), about.dimensions),
    }
    described = {"model": about.model, "manifest_sha256": about.manifest_sha256, "settings": about.settings}
    table = pa.table(columns).replace_schema_metadata({"openclip": json.dumps(described)})
    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    return bytes(out.getvalue().to_pybytes())


def lines(gone: Sequence[Gone]) -> bytes:
    return "".join(json.dumps(one._asdict()) + "\n" for one in gone).encode()


def spread(records: Sequence[Item | Gone], files: int, seed: int = 0, about: About = ABOUT) -> dict[str, bytes]:
    """Spread records over files, by chance; returns the files' content by name."""
    chance = random.Random(seed)  # noqa: S311
    of = [chance.randrange(files) for _ in records]
    found = {}
    for number in range(files):
        mine = [record for record, place in zip(records, of, strict=True) if place == number]
        where = f"model={about.manifest_sha256[:12]}/run=r{number % 3}/{number:08d}"
        found[f"vectors/{where}.parquet"] = parquet([one for one in mine if isinstance(one, Item)], about)
        if gone := [one for one in mine if isinstance(one, Gone)]:
            found[f"deletions/{where}.jsonl"] = lines(gone)
    return found


def save(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def history(count: int, seed: int = 0) -> list[Item | Gone]:
    """Looks of `count` keys: most once, many several times, some gone, in any order."""
    from tests.unit.search_world import some

    chance = random.Random(seed)  # noqa: S311
    records: list[Item | Gone] = []
    for one in some(count, seed):
        records.append(one)
        for _ in range(chance.choice((0, 0, 0, 1, 2))):
            seen = chance.randrange(5)
            changed = one._replace(seen_at=seen, etag=chance.choice("fgh"), vector=np.roll(one.vector, seen + 1))
            records.append(changed if chance.random() < 0.6 else Gone(one.bucket, one.key, seen))
    chance.shuffle(records)
    return records
