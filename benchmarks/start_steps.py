"""`python -m benchmarks.start_steps BUNDLE...`: one cold start of each bundle, taken apart into its steps, as a chart.

The starts are fresh processes, in turns: an image, a caption, and both. As root the page cache is dropped before each.
Writes docs/start.md and docs/start.png, which `make bench` does not; it builds bundles to name here, in build/bench.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ROOT, event, page_cache, samples
from benchmarks.child_environ import child_environ
from benchmarks.errors import BenchmarkError
from benchmarks.options import check_output
from benchmarks.start.page import Bar, Start, write
from console.parser import Parser, count
from console.run import run
from layer.progress import each

CASES = {"image": (1, 0), "caption": (0, 1), "both": (1, 1)}  # images and captions


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; returns the exit status."""
    return run(lambda: _command(arguments), (BenchmarkError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m benchmarks.start_steps", description=__doc__)
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="its first model starts")
    parser.add_argument("--model", action="append", help="of these bundles, those of this model; may be repeated")
    parser.add_argument("--output", type=Path, default=Path("docs"), help="default: %(default)s")
    parser.add_argument("--runs", type=count, default=5, help="starts of each (default: %(default)s)")
    options = parser.parse_args(arguments)
    check_output(options.output)
    facts = {bundle.resolve(): _facts(bundle) for bundle in options.bundles}
    models = [model["name"] for model in facts.values()]
    if unknown := [name for name in options.model or () if name not in models]:
        raise BenchmarkError(f"no bundle is of {unknown[0]}: these are of {', '.join(dict.fromkeys(models))}")
    wanted = {bundle: model for bundle, model in facts.items() if not options.model or model["name"] in options.model}
    bars = [
        (bundle, Bar(model["name"], f"{model['engine']} {model['precision']}", case))
        for bundle, model in wanted.items()
        for case in CASES
    ]
    found = measure(bars, options.runs)
    command = " ".join(["python -m benchmarks.start_steps", *(arguments if arguments is not None else sys.argv[1:])])
    write(found, command, datetime.now(UTC).isoformat(timespec="seconds"), options.output)


def _facts(bundle: Path) -> dict[str, Any]:
    """Return the manifest's entry of a bundle's first model. Raises BenchmarkError."""
    path = bundle / "manifest.json"
    try:
        model: dict[str, Any] = json.loads(path.read_bytes())["models"][0]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise BenchmarkError(f"{path} cannot be read ({error}): give a bundle of `python -m layer build`") from error
    return model


def measure(bars: Sequence[tuple[Path, Bar]], runs: int) -> dict[Bar, list[Start]]:
    """Start each `runs` times, in turns, so that a slow minute of the machine is everybody's."""
    found: dict[Bar, list[Start]] = {bar: [] for _, bar in bars}
    image = samples.image(np.random.default_rng(0))
    with tempfile.TemporaryDirectory(prefix="openclip-bench-") as scratch:
        for case, (images, captions) in CASES.items():
            asked = event.embeddings([image] * images, [samples.CAPTION] * captions)
            Path(scratch, f"{case}.json").write_text(json.dumps(asked))
        turns = [one for _ in range(runs) for one in bars]
        for bundle, bar in each(turns, "cold starts", "start", lambda turn: " ".join(turn[1])):
            found[bar].append(start(bundle, Path(scratch, f"{bar.case}.json")))
    return found


def start(bundle: Path, request: Path) -> Start:
    """Start one process on a bundle and a request; its cache directory is empty. Raises BenchmarkError."""
    fixed = child_environ()
    page_cache.drop()
    with tempfile.TemporaryDirectory(prefix="openclip-cache-") as cache:
        began = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "benchmarks.start.child", str(request), str(began)],
            env=fixed | {"OPENCLIP_BUNDLE_DIR": str(bundle), "OPENCLIP_CACHE_DIR": cache},
            cwd=ROOT,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout  # noqa: S101 - it is a pipe
            metrics = _until_answered(process.stdout)
            whole = time.monotonic() - began
            rest = process.stdout.read()
    if process.returncode or not metrics:
        raise BenchmarkError(f"the handler failed on {bundle}: its reason is above")
    return Start(whole, json.loads(rest.splitlines()[-1]))


def _until_answered(lines: Any) -> bool:
    """Read until the child says that it has an answer; before that the handler prints its metrics."""
    return any(line == b"answered\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
