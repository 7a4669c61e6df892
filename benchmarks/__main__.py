"""`python -m benchmarks`: every engine and the plain recipe, in turns, on this machine, then ours beside the peers.

Writes docs/benchmarks.* and docs/peers.*
"""

import json
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ROOT, page_cache, samples
from benchmarks.child_environ import child_environ, plain_environ
from benchmarks.child_report import child_report
from benchmarks.errors import BenchmarkError
from benchmarks.flops import image_operations, matrix_peak
from benchmarks.models import MODELS, Model, bundles
from benchmarks.options import check_output
from benchmarks.pages import command
from benchmarks.peers import run as peers
from benchmarks.report import PLAIN, Medians, Report, write
from console.parser import Parser, count
from console.run import run
from layer.progress import each

ENGINES = [("torch", "fp32"), ("onnx", "fp32"), ("onnx", "int8"), ("openvino", "fp32"), ("openvino", "int8")]
# name, images, texts, runs
ONE_BY_ONE = [["image", 1, 0, 8], ["caption", 0, 1, 12]]
WORKLOADS = [*ONE_BY_ONE, ["image of 8", 8, 0, 1], ["image of 32", 32, 0, 1], ["caption of 32", 0, 32, 1]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what is missing, measure, write; returns the exit status."""
    return run(lambda: _command(arguments), (BenchmarkError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--place", type=Path, default=Path("build/bench"), help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path("docs"), help="default: %(default)s")
    parser.add_argument("--runs", type=count, default=3, help="fresh processes of each (default: %(default)s)")
    parser.add_argument(
        "--engine",
        action="append",
        choices=["-".join(engine) for engine in ENGINES],
        help="as onnx-int8; may be repeated (default: all)",
    )
    parser.add_argument("--model", action="append", choices=[model.name for model in MODELS], help="may be repeated")
    parser.add_argument("--prepare", action="store_true", help="make bundles, environments and files, measure nothing")
    parser.add_argument("--no-engines", action="store_true", help="leave out docs/benchmarks.*: the peers alone")
    peers.add_arguments(parser)
    options = parser.parse_args(arguments)
    check_output(options.output)
    engines = [engine for engine in ENGINES if not options.engine or "-".join(engine) in options.engine]
    models = [model for model in MODELS if not options.model or model.name in options.model]
    # The plain recipe loads from the torch bundle's cache, and the peers' files are made from it.
    compared = [] if options.no_peers else peers.BUNDLES
    wanted = list(dict.fromkeys([ENGINES[0], *([] if options.no_engines else engines), *compared]))
    built = {model: bundles(model, wanted, options.place) for model in models}
    if not options.no_peers:
        peers.prepare(built, options.place)
    if options.prepare:
        return
    if not options.no_engines:
        _measure_engines(models, built, engines, options)
    if not options.no_peers:
        peers.compare(built, options)


def _measure_engines(
    models: list[Model],
    built: dict[Model, dict[tuple[str, str], Path]],
    engines: list[tuple[str, str]],
    options: Namespace,
) -> None:
    contenders = {model.name: measure(model, built[model], engines, options.runs) for model in models}
    work = {model.name: image_operations(model.name) for model in models}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write(Report(now, command(sys.argv[1:]), options.runs, contenders, work, matrix_peak()), options.output)


def measure(
    model: Model, built: dict[tuple[str, str], Path], engines: list[tuple[str, str]], runs: int
) -> dict[str, Medians]:
    """Start every contender `runs` times, in turns, so that a slow minute of the machine is everybody's."""
    environs = {PLAIN: plain_environ(model.name, model.tag, built["torch", "fp32"] / model.hub)}
    environs |= {f"{e} {p}": {"OPENCLIP_BUNDLE_DIR": str(built[e, p].resolve())} for e, p in engines}
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in environs}
    turns: list[tuple[str, int | None]] = [(name, None) for _ in range(runs) for name in environs]
    turns += [(name, 1) for name in environs]  # a memory setting that buys one processor
    on_one: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="openclip-bench-") as name:
        requests = {}
        for cpus, workloads in ((None, WORKLOADS), (1, ONE_BY_ONE)):
            requests[cpus] = Path(name) / f"request-{cpus}.json"
            requests[cpus].write_text(json.dumps(_request(workloads)))
        for contender, cpus in each(turns, model.name, "start", lambda turn: turn[0]):
            environ = {**environs[contender], "OPENCLIP_CACHE_DIR": f"{name}/cache"}
            if cpus is None:
                samples[contender].append(_start(requests[cpus], environ))
            else:
                on_one[contender] = _start(requests[cpus], {**environ, "BENCH_CPUS": str(cpus)})["warm"]
    return {contender: Medians.of(found, on_one[contender]) for contender, found in samples.items()}


def _start(request: Path, environ: dict[str, str]) -> dict[str, Any]:
    fixed = child_environ()
    page_cache.drop()
    return child_report(
        [sys.executable, "-m", "benchmarks.child", str(request)],
        {**fixed, **environ, "BENCH_STARTED": str(time.monotonic())},
        ROOT,
        "a start could not be measured",
    )


def _request(workloads: list[list[Any]]) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "images": [samples.image(rng) for _ in range(32)],
        "texts": [samples.CAPTION] * 32,
        "workloads": workloads,
    }


if __name__ == "__main__":
    sys.exit(main())
