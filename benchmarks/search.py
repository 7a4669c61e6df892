"""`python -m benchmarks.search --rows 100000`: an index from files of vectors; its recall and speed on this machine.

Synthetic vectors of two kinds. Clustered ones with a decaying spectrum, as real embeddings are, asked by vectors of
their own kind and by others that lie apart, as texts lie apart from images. And directions that are equally likely, of
which an index that leaves anything out loses some. Building and asking are processes of their own, and so are their
peaks of memory.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import SUPPRESS, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import BenchmarkError
from console.parser import Parser, count
from console.run import run

SHARD = 1_000
K = 10
CLUSTERS = 1_000
MANIFEST = "00" * 32
Vectors = NDArray[np.float32]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    return run(lambda: _command(arguments), (BenchmarkError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--rows", type=count, default=100_000, help="default: %(default)s")
    parser.add_argument("--dimensions", type=count, default=512, help="default: %(default)s")
    parser.add_argument("--queries", type=count, default=200, help="of each kind (default: %(default)s)")
    parser.add_argument("--kind", choices=KINDS, action="append", help="may be repeated (default: both)")
    parser.add_argument("--step", choices=STEPS, help=SUPPRESS)
    parser.add_argument("--folder", type=Path, help=SUPPRESS)
    options = parser.parse_args(arguments)
    if options.step:
        print(json.dumps(STEPS[options.step](options.folder)))
        return
    for kind in options.kind or KINDS:
        with tempfile.TemporaryDirectory(prefix="openclip-search-") as folder:
            _measure(kind, Path(folder), options)


def _measure(kind: str, folder: Path, options: Namespace) -> None:
    started = time.perf_counter()
    truth = _write(kind, folder, options)
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    print(
        f"{kind}: {options.rows:,} vectors of {options.dimensions:,} dimensions, {size / 1e6:,.0f} MB of Parquet",
        end="",
    )
    print(f" (made in {time.perf_counter() - started:.0f} s)", flush=True)
    built = _in_process("build", folder)
    print(
        f"  rebuild: {built['seconds']:.1f} s, {built['cpu']:.1f} CPU-s, peak {built['peak'] / 1e6:,.0f} MB; "
        f"{built['bytes'] / 1e6:,.0f} MB on disk",
        flush=True,
    )
    asked = _in_process("ask", folder)
    for name, answer in asked["of"].items():
        found = [len(set(got) & set(right)) / K for got, right in zip(answer["found"], truth[name], strict=True)]
        print(
            f"  queries like {name}: recall@{K} {np.mean(found):.4f}, p50 {answer['p50'] * 1000:.1f} ms, "
            f"p95 {answer['p95'] * 1000:.1f} ms, {answer['cpu'] * 1000:.1f} CPU-ms a query"
        )
    print(
        f"  first query {asked['first'] * 1000:.0f} ms after {asked['open']:.1f} s of import; "
        f"peak {asked['peak'] / 1e6:,.0f} MB"
    )


def _write(kind: str, folder: Path, options: Namespace) -> dict[str, list[list[int]]]:
    """Write files of vectors and the queries; returns the numbers of the nearest rows, by exact search."""
    blocks, queries = KINDS[kind](options.rows, options.dimensions, options.queries)
    np.savez(folder / "queries.npz", allow_pickle=False, **queries)
    best = {
        name: (np.full((len(asked), K), -2.0, np.float32), np.zeros((len(asked), K), np.int64))
        for name, asked in queries.items()
    }
    start = 0
    for block in blocks:
        for name, asked in queries.items():
            scores, numbers = best[name]
            scores = np.hstack([scores, asked @ block.T])
            numbers = np.hstack(
                [numbers, np.broadcast_to(np.arange(start, start + len(block)), (len(asked), len(block)))]
            )
            order = np.argsort(-scores, axis=1)[:, :K]
            best[name] = np.take_along_axis(scores, order, 1), np.take_along_axis(numbers, order, 1)
        _shard(folder, start, block)
        start += len(block)
    return {name: numbers.tolist() for name, (_, numbers) in best.items()}


def _shard(folder: Path, start: int, block: Vectors) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = len(block)
    moment = pa.array(np.zeros(rows, np.int64)).cast(pa.timestamp("ms", tz="UTC"))
    numbers = pa.array(np.full(rows, 224, np.int32))
    columns = {
        "bucket": pa.array(["photos"] * rows),
        "key": pa.array([f"2026/{number:09d}.jpg" for number in range(start, start + rows)]),
        "etag": pa.array(["d41d8cd98f00b204e9800998ecf8427e"] * rows),
        "size": pa.array(np.full(rows, 100_000)),
        **{"last_modified": moment, "seen_at": moment, "width": numbers, "height": numbers},
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), block.shape[1]),
    }
    about = json.dumps({"model": "synthetic", "manifest_sha256": MANIFEST, "settings": {}})
    path = folder / "vectors" / "model=synthetic" / "run=1" / f"{start // SHARD:08d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata({"openclip": about}), path, use_dictionary=False)


def clustered(rows: int, dimensions: int, queries: int) -> tuple[Iterator[Vectors], dict[str, Vectors]]:
    """Clusters of very different sizes around a common direction."""
    random = np.random.default_rng(1)
    scale = np.arange(1, dimensions + 1) ** -0.5
    turned = np.linalg.qr(random.normal(size=(dimensions, dimensions)))[0] * (scale / np.linalg.norm(scale))[:, None]
    centers = random.normal(size=(CLUSTERS, dimensions)) @ turned + 0.8 * unit(random.normal(size=dimensions))
    share = np.arange(1, CLUSTERS + 1) ** -0.7

    def draw(many: int) -> NDArray[np.float64]:
        which = random.choice(CLUSTERS, many, p=share / share.sum())
        drawn: NDArray[np.float64] = centers[which] + 0.6 * random.normal(size=(many, dimensions)) @ turned
        return drawn

    apart = 0.8 * unit(random.normal(size=dimensions))
    asked = {"images": unit(draw(queries)), "texts": unit(draw(queries) + apart)}
    return (unit(draw(min(SHARD, rows - start))) for start in range(0, rows, SHARD)), asked


def uniform(rows: int, dimensions: int, queries: int) -> tuple[Iterator[Vectors], dict[str, Vectors]]:
    """Every direction is as likely as any other."""
    random = np.random.default_rng(2)

    def draw(many: int) -> Vectors:
        return unit(random.normal(size=(many, dimensions)))

    asked = {"themselves": draw(queries)}
    return (draw(min(SHARD, rows - start)) for start in range(0, rows, SHARD)), asked


def unit(vectors: NDArray[Any]) -> Vectors:
    """Bring vectors to unit length."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _in_process(step: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.search", "--step", step, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{step}: {done.stderr.strip()[-500:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _build(folder: Path) -> dict[str, Any]:
    from handler.search.lance import LanceIndex
    from handler.search.rebuild import rebuild
    from handler.search.source import Source

    started, cpu = time.perf_counter(), time.process_time()
    rebuild(Source(str(folder)), LanceIndex(str(folder / "index")))
    size = sum(path.stat().st_size for path in (folder / "index").rglob("*") if path.is_file())
    spent = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    return {**spent, "peak": _peak(), "bytes": size}


def _ask(folder: Path) -> dict[str, Any]:
    started = time.perf_counter()
    from handler.search.lance import LanceIndex

    index = LanceIndex(str(folder / "index"))
    about = index.about()
    opened = time.perf_counter()
    asked = np.load(folder / "queries.npz")
    index.query(next(iter(asked.values()))[0], about, K)
    answer: dict[str, Any] = {"open": opened - started, "first": time.perf_counter() - opened, "of": {}}
    for name, vectors in asked.items():
        times, found = [], []
        for vector in vectors[:20]:
            index.query(vector, about, K)
        cpu = time.process_time()
        for vector in vectors:
            before = time.perf_counter()
            hits = index.query(vector, about, K)
            times.append(time.perf_counter() - before)
            found.append([int(hit.key[5:14]) for hit in hits])
        spent = (time.process_time() - cpu) / len(vectors)
        p95 = sorted(times)[int(0.95 * len(times))]
        answer["of"][name] = {"found": found, "p50": statistics.median(times), "p95": p95, "cpu": spent}
    return {**answer, "peak": _peak()}


def _peak() -> int:
    """Return the most memory that this process had, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


KINDS = {"clustered": clustered, "uniform": uniform}
STEPS = {"build": _build, "ask": _ask}

if __name__ == "__main__":
    os.environ.setdefault("LANCE_LOG", "error")
    sys.exit(main())
