"""`python -m benchmarks.batch`: the batch worker beside the engine alone, in turns, on this machine.

Small images, so that decoding is little of the work; a source that takes `--latency` milliseconds for each; and so many
processors (`--cpus`). The engine gets the same pixels in batches of 32, and nothing else is done.
"""

import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.errors import BenchmarkError
from benchmarks.options import check_bundle
from console.parser import Parser, count
from console.run import run

if TYPE_CHECKING:
    from handler.service import Service

GROUP = 32
SIDE = 64  # pixels of an image


class Turn(NamedTuple):
    """Images a second, processor seconds an image, and the shares of the time that handler/batch/pipeline.py counts."""

    rate: float
    cpu: float
    computing: float = 1.0
    preparing: float = 0.0
    downloading: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    return run(lambda: _command(arguments), (BenchmarkError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("bundle", type=Path, help="directory of a bundle")
    parser.add_argument("--images", type=count, default=256, help="of a turn (default: %(default)s)")
    parser.add_argument("--turns", type=count, default=5, help="default: %(default)s")
    parser.add_argument("--latency", type=float, default=100, help="milliseconds of a download (default: %(default)s)")
    parser.add_argument("--cpus", type=count, default=1, help="processors and threads (default: %(default)s)")
    options = parser.parse_args(arguments)
    check_bundle(options.bundle)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cpus])
    os.environ |= {"OPENCLIP_BUNDLE_DIR": str(options.bundle.resolve()), "OPENCLIP_THREADS": str(options.cpus)}
    report = measure(options.images, options.turns, options.latency / 1000)
    print(json.dumps({"bundle": str(options.bundle), "cpus": options.cpus, "latency_ms": options.latency, **report}))


def measure(images: int, turns: int, latency: float) -> dict[str, Any]:
    """Measure in turns: the engine, the engine with decoding, the worker, and the worker with a slow source.

    `latency` is in seconds.
    """
    from handler.imaging.decode import decode
    from handler.manifest import IMAGE
    from handler.service import Service

    service = Service.start(os.environ)
    model = service.model(None, (IMAGE,))
    files = [_drawn(number) for number in range(images)]
    fixed = np.stack([model.preprocess(decode(data, 10**6)) for data in files[:GROUP]])
    room = model.preprocess.empty(GROUP)

    def engine() -> Turn:
        return _timed(images, lambda: [model.engine.encode_images(fixed) for _ in range(0, images, GROUP)])

    def decoded() -> None:
        for start in range(0, images, GROUP):
            for data, out in zip(files[start : start + GROUP], room, strict=False):
                out[:] = model.preprocess(decode(data, 10**6))
            model.engine.encode_images(room)

    kinds: dict[str, Callable[[], Turn]] = {
        "engine": engine,
        "decoding, then engine": lambda: _timed(images, decoded),
        "worker": lambda: _worker(service, files, 0),
        "worker, slow source": lambda: _worker(service, files, latency),
    }
    engine()  # the first of a shape may set something up
    found: dict[str, list[Turn]] = {kind: [] for kind in kinds}
    for _ in range(turns):
        for kind, start in kinds.items():
            found[kind].append(start())
    return {kind: _report(of, found["engine"]) for kind, of in found.items()}


def _worker(service: "Service", files: Sequence[bytes], seconds: float) -> Turn:
    """Embed files that come from memory after `seconds`, and write the Parquet file."""
    from handler.batch.pipeline import Pipeline
    from handler.batch.reader import Found
    from handler.batch.rows import Embedded, Row
    from handler.batch.shard import Work
    from handler.batch.store import Directory

    class Source:
        def read(self, row: Row, _: int) -> Found:
            time.sleep(seconds)
            return Found(files[int(row.key)], row.key, 0)

    rows = [Row("", str(number), len(data), 0) for number, data in enumerate(files)]
    model, source = service.model(None), Source()
    pipeline = Pipeline(model, source, service.settings)
    work = Work(model, service.models.vectors_sha256(), service.settings, source, Directory(Path()))
    turn = _timed(len(rows), lambda: work.parquet([one for one in pipeline.embed(rows) if isinstance(one, Embedded)]))
    wall = len(rows) / turn.rate
    return turn._replace(**{name: seconds / wall for name, seconds in pipeline.seconds.items()})


def _timed(images: int, do: Callable[[], object]) -> Turn:
    cpu, started = time.process_time(), time.perf_counter()
    do()
    return Turn(images / (time.perf_counter() - started), (time.process_time() - cpu) / images)


def _report(turns: Sequence[Turn], engine: Sequence[Turn]) -> dict[str, float]:
    """Return the medians of the turns. A ratio is of two neighbors in time: a slow minute of the machine slows both."""
    report = {name: statistics.median(getattr(turn, name) for turn in turns) for name in Turn._fields}
    pairs = list(zip(engine, turns, strict=True))
    report["rate_of_engine"] = statistics.median(turn.rate / alone.rate for alone, turn in pairs)
    report["cpu_of_engine"] = statistics.median(turn.cpu / alone.cpu for alone, turn in pairs)
    return {name: round(number, 4) for name, number in report.items()}


def _drawn(number: int) -> bytes:
    image = Image.new("RGB", (SIDE, SIDE), (number % 256, 90, 200))
    ImageDraw.Draw(image).ellipse((8, 8, 24 + number % 32, 56), fill=(200, number % 256, 20))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
