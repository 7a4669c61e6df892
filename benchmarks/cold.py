"""`python -m benchmarks.cold BUNDLE`: the time and memory of a process until its first answer: image, caption, both.

With `--before DIRECTORY`, a checkout of an earlier commit, its handler starts in turns, on `--before-bundle` where it
needs another. `--packages DIRECTORY`, as `python -m layer package` writes an image's, takes the dependencies and the
handler from there. As root the page cache is dropped before every start, and what was touched is counted.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import ROOT, page_cache
from benchmarks.child_environ import child_environ
from benchmarks.child_report import child_report
from benchmarks.errors import BenchmarkError
from console.parser import Parser, count
from console.run import run

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP4z8CAB+GTG8HSALfKY52fTcuYAAAAAElFTkSuQmCC"
INPUTS: dict[str, list[Any]] = {
    "an image": [{"image": PNG}],
    "a caption": ["a photo of a cat sitting on a windowsill"],
    "both": [{"image": PNG}, "a photo of a cat sitting on a windowsill"],
}
CHILD = """
import json, sys, time
from handler.app import lambda_handler
answer = lambda_handler(json.loads(sys.argv[1]), None)
assert "data" in answer, answer
passed, cpu = time.monotonic() - float(sys.argv[2]), time.process_time()
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"processor": cpu, "passed": passed, "peak": peak * 1024}))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    return run(lambda: _command(arguments), (BenchmarkError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m benchmarks.cold", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--before", type=Path, help="a checkout of an earlier commit")
    parser.add_argument("--before-bundle", type=Path, help="the bundle that it starts on (default: the same)")
    parser.add_argument("--packages", type=Path, help="an image's build context, whose dependencies and handler start")
    parser.add_argument("--runs", type=count, default=5, help="starts of each (default: %(default)s)")
    options = parser.parse_args(arguments)
    now = options.packages.resolve() if options.packages else ROOT
    contenders = {"now": (now, options.bundle.resolve())}
    if options.before:
        contenders = {
            "before": (options.before.resolve(), (options.before_bundle or options.bundle).resolve())
        } | contenders
    found: dict[str, dict[str, list[dict[str, float]]]] = {kind: {name: [] for name in contenders} for kind in INPUTS}
    with tempfile.TemporaryDirectory(prefix="openclip-bench-") as scratch:
        for _ in range(options.runs):
            for kind, items in INPUTS.items():
                for name, (code, bundle) in contenders.items():
                    found[kind][name].append(_start(code, bundle, items, scratch))
    for kind, rows in found.items():
        _show(kind, rows)


def _start(code: Path, bundle: Path, items: list[Any], scratch: str) -> dict[str, float]:
    """Start a process with the handler in `code`, and return what it took until its first answer."""
    dependencies, environ = code / "dependencies", child_environ(code)
    dropped = page_cache.drop()
    report: dict[str, float] = child_report(
        [sys.executable, "-c", CHILD, json.dumps({"input": items}), str(time.monotonic())],
        {**environ, "OPENCLIP_BUNDLE_DIR": str(bundle), "OPENCLIP_CACHE_DIR": scratch},
        code,
        f"the handler of {code} failed",
    )
    if dropped:
        seen = page_cache.touched([*([dependencies] if dependencies.is_dir() else []), bundle, code / "handler"])
        report |= {"touched": seen.touched, "fetched": seen.fetched}
    return report


def _show(kind: str, rows: dict[str, list[dict[str, float]]]) -> None:
    medians = {
        name: {key: statistics.median(one[key] for one in starts) for key in starts[0]} for name, starts in rows.items()
    }
    now = medians["now"]
    for name, found in medians.items():
        times = (
            ""
            if name == "now"
            else "".join(
                f", {what} {found[key] / now[key]:.2f}x"
                for key, what in (("processor", "processor time"), ("peak", "memory"))
            )
        )
        chunks = ""
        if "touched" in found:
            chunks = f", {found['touched'] / 1e6:.0f} MB touched in chunks of {found['fetched'] / 1e6:.0f} MB "
            chunks += f"({found['fetched'] / found['touched']:.2f}x)"
        least = min(one["processor"] for one in rows[name])
        print(
            f"{kind}, {name}: {found['passed']:.2f} s, of processors {found['processor']:.2f} s (least {least:.2f}), "
            f"peak {found['peak'] / 1e6:.0f} MB{chunks}{times}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
