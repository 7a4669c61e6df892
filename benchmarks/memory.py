"""`python -m benchmarks.memory BUNDLE...`: what each memory setting of Lambda takes and costs, through lambda_handler.

A fresh process for each bundle and setting has the setting's share of the processors and its memory (as root, by a
cgroup; else whole processors only). A bundle of engine torch is also measured as the plain recipe. Writes
layer/registry/memory_settings.json, from which default settings are taken, and docs/cost.md.
"""

import base64
import json
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import ROOT, cost_page, page_cache, samples
from benchmarks.child_environ import child_environ, plain_environ
from benchmarks.errors import BenchmarkError
from benchmarks.limits import limited
from benchmarks.pages import machine, replace_file
from benchmarks.photographs import SIZES, photograph
from benchmarks.report import PLAIN
from console.parser import Parser, count
from console.run import run
from layer.bundle import manifest
from layer.errors import BuildError
from layer.progress import each

SETTINGS = (1024, 1280, 1769, 2048, 2560, 3008, 3538)  # MB; the last buys two processors
WHOLE = (1769, 3008, 3538)  # of fp32, which takes seconds to start
RUNS = {"640x480": 12, "1920x1080": 8, "4000x3000": 4}
CAPTION_RUNS = 40


@dataclass(frozen=True)
class Contender:
    """One bundle, as the handler serves it or as the plain recipe does."""

    model: str
    engine: str
    precision: str
    size: int  # bytes of the bundle's files
    environ: dict[str, str]

    @property
    def settings(self) -> tuple[int, ...]:
        """The settings in MB that are measured, the largest first: its peak tells which need not be tried."""
        return tuple(reversed(SETTINGS if self.precision == "int8" else WHOLE))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit status."""
    return run(lambda: _command(arguments), (BenchmarkError, BuildError))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE")
    parser.add_argument("--runs", type=count, default=2, help="processes of each int8 setting (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT, help="the repository to write into (default: this one)")
    options = parser.parse_args(arguments)
    contenders = [one for bundle in options.bundles for one in _contenders(bundle)]
    with limited(SETTINGS[-1]) as limits:
        told = limits.told
    with tempfile.TemporaryDirectory(prefix="openclip-bench-") as place:
        asked = Path(place) / "asked.json"
        asked.write_text(json.dumps({"workloads": _workloads(), "caption": samples.CAPTION}))
        rows = _sweep(contenders, asked, options, place)
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "limits": told,
        "rows": rows,
    }
    page = cost_page.markdown(content)
    replace_file(
        options.output / "layer/registry/memory_settings.json", (json.dumps(content, indent=1) + "\n").encode()
    )
    replace_file(options.output / "docs/cost.md", page.encode())
    print(page)


def _contenders(bundle: Path) -> list[Contender]:
    facts = manifest.read(bundle)
    model = facts.models[0]
    size = sum(file.size for file in facts.files)
    found = [Contender(model.name, model.engine, model.precision, size, {"OPENCLIP_BUNDLE_DIR": str(bundle.resolve())})]
    if model.engine == "torch":
        hub = bundle / "models" / model.slug / "hub"
        environ = plain_environ(model.name, str(model.pretrained), hub)
        found.append(Contender(model.name, PLAIN, model.precision, size, environ))
    return found


def _workloads() -> dict[str, tuple[list[str], list[str], int]]:
    """Return images in base64, texts and runs by workload."""
    found: dict[str, tuple[list[str], list[str], int]] = {}
    for name, runs in RUNS.items():
        found[name] = [base64.b64encode(photograph(*SIZES[name], quality=88)).decode()], [], runs
    return found | {"caption": ([], [samples.CAPTION], CAPTION_RUNS)}


def _sweep(contenders: list[Contender], asked: Path, options: Namespace, place: str) -> list[dict[str, Any]]:
    """Start every contender at every setting, in turns, so that a slow minute of the machine is everybody's."""
    found: dict[tuple[int, int], list[dict[str, Any]]] = {}
    turns = [
        (memory, number)
        for turn in range(options.runs)
        for memory in reversed(SETTINGS)
        for number, one in enumerate(contenders)
        if memory in one.settings and (turn == 0 or one.precision == "int8")
    ]
    names = [f"{one.model} {one.engine}" for one in contenders]
    for memory, number in each(turns, "memory settings", "start", lambda turn: f"{names[turn[1]]} {turn[0]} MB"):
        one = contenders[number]
        environ = {**one.environ, "OPENCLIP_CACHE_DIR": f"{place}/cache"}
        if memory == SETTINGS[-1]:
            environ["BENCH_BATCH"] = "1"
        if report := _start(asked, memory, environ):
            found.setdefault((number, memory), []).append(report)
    return [
        _row(one, {mb: starts for (at, mb), starts in found.items() if at == n}) for n, one in enumerate(contenders)
    ]


def _start(asked: Path, memory: int, environ: dict[str, str]) -> dict[str, Any] | None:
    """Return one process's times; None where it was killed for its memory."""
    fixed = child_environ()
    page_cache.drop()
    told = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory), "BENCH_STARTED": str(time.monotonic())}
    with limited(memory) as limits:
        done = subprocess.run(
            [*limits.command, sys.executable, "-m", "benchmarks.memory_child", str(asked)],
            env={**fixed, **environ, **told, **limits.environ},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=False,
        )
    if done.returncode == -9:
        return None
    if done.returncode:
        raise BenchmarkError(f"a process with {memory} MB ended with status {done.returncode}: its reason is above")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _row(one: Contender, found: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    settings = sorted(found)
    if not settings:
        raise BenchmarkError(f"{one.model} {one.engine} was killed at every setting up to {SETTINGS[-1]} MB")
    return {
        "model": one.model,
        "engine": one.engine,
        "precision": one.precision,
        "bytes": one.size,
        "peak": max(start["peak"] for starts in found.values() for start in starts),
        "cold": {str(mb): _median(start["cold"] for start in found[mb]) for mb in settings},
        "warm": {
            name: {str(mb): _median(start["warm"][name] for start in found[mb]) for mb in settings}
            for name in (*RUNS, "caption")
        },
    }


def _median(values: Any) -> float:
    return round(float(statistics.median(values)), 6)


if __name__ == "__main__":
    sys.exit(main())
