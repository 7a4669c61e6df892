"""`python -m benchmarks.photographs BUNDLE`: photographs through lambda_handler, warm, on this machine.

With `--before DIRECTORY`, a checkout of an earlier commit, its handler serves the same requests in turns, from the same
bundle or from `--before-bundle`, one that it has built. Prints medians, ratios, the share of the processors that a
batch keeps busy, and what the tower alone takes.
"""

import base64
import io
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import ROOT
from benchmarks.child_environ import child_environ
from benchmarks.child_report import child_report
from benchmarks.errors import BenchmarkError
from console.parser import Parser, count
from console.run import run

SIZES = {"640x480": (640, 480), "1920x1080": (1920, 1080), "4000x3000": (4000, 3000)}
BATCHES = {"32 of 640x480": ("640x480", 32), "32 of 1920x1080": ("small 1920x1080", 32)}
# Runs in each process, alone with one checkout's handler. A batch's processor time is of all threads.
CHILD = """
import json, sys, time
from handler.app import SERVICE, lambda_handler
def seconds(body, runs):
    event = {"version": "2.0", "rawPath": "/v1/embeddings", "rawQueryString": "", "body": body,
             "headers": {"content-type": "application/json"}, "isBase64Encoded": False,
             "requestContext": {"http": {"method": "POST", "path": "/v1/embeddings"}}}
    found = []
    for _ in range(runs + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        answer = lambda_handler(event, None)
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
        assert answer["statusCode"] == 200, answer["body"]
    stages = dict(part.split(";dur=") for part in answer["headers"]["server-timing"].split(", "))
    return {"runs": found[1:], "stages": {name: float(value) for name, value in stages.items()}}
asked = json.load(open(sys.argv[1]))
report = {name: seconds(body, 9 if len(body) < 4_000_000 else 5) for name, body in asked.items()}
import numpy as np
model = SERVICE.model(None)
pixels = np.random.default_rng(0).random((32, 3, *model.entry.image_size), np.float32)
def tower(batch):
    found = []
    for _ in range(6):
        start = time.perf_counter()
        for at in range(0, 32, batch):
            model.engine.encode_images(pixels[at : at + batch])
        found.append((time.perf_counter() - start, 0))
    return {"runs": found[1:], "stages": {}}
report |= {f"tower alone, 32 in runs of {batch}": tower(batch) for batch in (8, 16, 32)}
json.dump(report, sys.stdout)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    return run(lambda: _command(arguments), (BenchmarkError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m benchmarks.photographs", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier commit")
    parser.add_argument("--before-bundle", type=Path, help="what that serves from (default: BUNDLE)")
    parser.add_argument("--runs", type=count, default=5, help="fresh processes of each (default: %(default)s)")
    options = parser.parse_args(arguments)
    names = {
        "now": (ROOT, options.bundle, {}),
        "now, in full": (ROOT, options.bundle, {"OPENCLIP_JPEG_DECODING": "full"}),
    }
    if options.before:
        names["before"] = (options.before.resolve(), options.before_bundle or options.bundle, {})
    with tempfile.TemporaryDirectory(prefix="openclip-bench-") as place:
        asked = Path(place) / "asked.json"
        asked.write_text(json.dumps(_bodies()))
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for _ in range(options.runs):
            for name, (checkout, bundle, environ) in names.items():
                environ = {**environ, "OPENCLIP_BUNDLE_DIR": str(bundle.resolve()), "OPENCLIP_CACHE_DIR": place}
                found[name].append(_start(asked, checkout, environ))
    _show(found)


def _start(asked: Path, checkout: Path, environ: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-c", CHILD, str(asked)]
    return child_report(command, child_environ(checkout) | environ, checkout, f"the handler of {checkout} failed")


def _bodies() -> dict[str, str]:
    photos = {name: photograph(*size, quality=88) for name, size in SIZES.items()}
    photos["small 1920x1080"] = photograph(1920, 1080, quality=25)  # 32 of them fit a request
    bodies = {name: _body(photos[name], 1) for name in SIZES}
    return bodies | {name: _body(photos[photo], times) for name, (photo, times) in BATCHES.items()}


def _body(photograph: bytes, times: int) -> str:
    return json.dumps(
        {"input": [{"image": base64.b64encode(photograph).decode()}] * times, "encoding_format": "base64"}
    )


def photograph(width: int, height: int, quality: int) -> bytes:
    """Return a JPEG of noise whose spectrum falls off as photographs' do, with the grain of a sensor."""
    rng = np.random.default_rng(0)
    side = 1024
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.standard_normal((3, side, side))) / frequency**1.2
    planes = np.fft.ifft2(spectrum).real
    planes = planes[0] + 0.3 * planes
    scaled = (planes - planes.min()) / np.ptp(planes) * 255
    image = Image.fromarray(scaled.transpose(1, 2, 0).astype(np.uint8)).resize((width, height))
    grain = rng.integers(-6, 7, (height, width, 1), dtype=np.int16)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _show(found: dict[str, list[dict[str, Any]]]) -> None:
    cores = len(os.sched_getaffinity(0))
    for workload in found["now"][0]:
        runs = {
            name: [pair for report in reports for pair in report[workload]["runs"]] for name, reports in found.items()
        }
        medians = {name: statistics.median(wall for wall, _ in pairs) for name, pairs in runs.items()}
        cells = [f"{name} {1000 * wall:.1f} ms ({wall / medians['now']:.2f}x)" for name, wall in medians.items()]
        print(f"{workload}: {', '.join(cells)}")
        for name, reports in found.items():
            stages = [report[workload]["stages"] for report in reports]
            if parts := ", ".join(f"{key} {statistics.median(one[key] for one in stages):.1f}" for key in stages[0]):
                busy = statistics.median(cpu / wall / cores for wall, cpu in runs[name])
                print(f"    {name}: {parts}; {busy:.0%} of {cores} processors busy")


if __name__ == "__main__":
    sys.exit(main())
