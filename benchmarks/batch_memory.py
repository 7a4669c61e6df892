"""`python -m benchmarks.batch_memory`: the most memory that a worker takes for a shard of large images.

As many files as `--images` in one shard, all links to one baseline JPEG, one progressive JPEG and one PNG of
40 megapixels, in a random order that is the same each time, so that costly images are decoded beside each other.
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks import ROOT
from benchmarks.errors import BenchmarkError
from benchmarks.options import check_bundle
from console.parser import Parser, count
from console.run import run

SIZE = (8000, 5000)
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": (".jpg", {"quality": 85}),
    "progressive": (".jpg", {"quality": 85, "progressive": True, "subsampling": 0}),
    "png": (".png", {"compress_level": 1}),
}
PASSED_ON = ("PATH", "PYTHONPATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR")
EMBEDDED = re.compile(r"([\d,]+) embedded, 0 failed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    return run(lambda: _command(arguments), (BenchmarkError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m benchmarks.batch_memory", description=__doc__)
    parser.add_argument("bundle", type=Path, help="directory of a bundle")
    parser.add_argument("--images", type=count, default=1000, help="default: %(default)s")
    parser.add_argument("--threads", type=count, default=2, help="of the worker (default: %(default)s)")
    parser.add_argument("--kind", choices=KINDS, action="append", help="may be repeated (default: all)")
    options = parser.parse_args(arguments)
    check_bundle(options.bundle)
    kinds = options.kind or list(KINDS)
    with tempfile.TemporaryDirectory(prefix="openclip-memory-") as folder:
        files = draw(Path(folder) / "photos", kinds, options.images)
        found = measure(options.bundle.resolve(), Path(folder), options.images, options.threads)
    print(json.dumps({"bundle": str(options.bundle), "of": files, "threads": options.threads, **found}))


def draw(folder: Path, kinds: Sequence[str], images: int) -> dict[str, int]:
    """Make the folder; returns how many files it has of each kind."""
    folder.mkdir()
    image = Image.effect_noise((250, 156), 60).resize(SIZE).convert("RGB")
    for kind in kinds:
        suffix, options = KINDS[kind]
        image.save(folder.parent / f"{kind}{suffix}", **options)
    order = [kinds[number % len(kinds)] for number in range(images)]
    random.Random(40).shuffle(order)  # noqa: S311
    for number, kind in enumerate(order):
        suffix = KINDS[kind][0]
        os.link(folder.parent / f"{kind}{suffix}", folder / f"{number:06d}{suffix}")
    return {kind: order.count(kind) for kind in kinds}


def measure(bundle: Path, folder: Path, images: int, threads: int) -> dict[str, Any]:
    """Embed `folder`/photos in one shard by one process; returns the peak (bytes resident) and the CPU seconds.

    Raises BenchmarkError where not all of the images were embedded.
    """
    environ = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environ |= {
        "OPENCLIP_BUNDLE_DIR": str(bundle),
        "OPENCLIP_CACHE_DIR": str(folder / "cache"),
        "OPENCLIP_THREADS": str(threads),
    }
    words = ["-m", "handler.batch", str(folder / "photos"), "--output", str(folder / "out")]
    process = subprocess.Popen(
        [sys.executable, *words, "--processes", "1", "--shard-size", str(images)],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        said = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)  # of the command, and of the worker that it waited for
        process.returncode = os.waitstatus_to_exitcode(status)
    embedded = EMBEDDED.search(said)
    if embedded is None or int(embedded[1].replace(",", "")) != images:
        raise BenchmarkError(f"the worker did not embed all {images:,} images:\n{said}")
    return {"embedded": images, "peak": usage.ru_maxrss * 1024, "cpu_seconds": round(usage.ru_utime + usage.ru_stime)}


if __name__ == "__main__":
    sys.exit(main())
