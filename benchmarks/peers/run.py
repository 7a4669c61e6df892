"""The comparison with the peers: prepare all that it needs, then measure and write."""

import os
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.models import Model
from benchmarks.pages import command
from benchmarks.peers import amx, environments, files
from benchmarks.peers.contender import Setup
from benchmarks.peers.entries import ENTRIES, OURS
from benchmarks.peers.limits import measure
from benchmarks.peers.report import Comparison, write
from benchmarks.peers.results import Result
from benchmarks.peers.turns import Turns
from console.parser import count

MINUTES = "for the peers: rounds and starts that do not fit are left out (default: %(default)s)"
Built = Mapping[Model, Mapping[tuple[str, str], Path]]
BUNDLES = [("torch", "fp32"), ("onnx", "int8"), ("openvino", "int8")]
WITH, WITHOUT, NONE = "AMX on", "AMX off", "no AMX on this processor"


def add_arguments(parser: ArgumentParser) -> None:
    """Add what a run can leave out."""
    names = [entry.name for entry in ENTRIES if not entry.ours]
    parser.add_argument("--no-peers", action="store_true", help="our engines and the plain recipe alone")
    parser.add_argument("--peer", action="append", choices=names, help="may be repeated (default: all)")
    parser.add_argument("--rounds", type=count, default=6, help="at most, of warm runs (default: %(default)s)")
    parser.add_argument("--starts", type=count, default=3, help="at most, of each, cold (default: %(default)s)")
    parser.add_argument("--minutes", type=count, default=22, help=MINUTES)
    parser.add_argument("--amx", choices=("on", "off", "both"), default="both", help="where the processor has AMX")


def prepare(built: Built, place: Path) -> None:
    """Make the environments and the peers' files that `place` does not have yet.

    A peer whose environment cannot be made is told with the others. Raises BenchmarkError where a file cannot be made.
    """
    folder = place / "environments"
    for name in sorted({entry.environment for entry in ENTRIES if entry.environment} | {"nncf"}):
        try:
            environments.python(name, folder)
        except BenchmarkError as error:
            print(f"{error}; the others go on", file=sys.stderr)
    for model, bundles in built.items():
        files.prepare_apart(_setup(model, bundles, place), environments.interpreter("nncf", folder))


def compare(built: Built, options: Namespace) -> None:
    """Measure every model, with AMX and without where the processor has it, and write docs/peers.*.

    What is measured so far is in `place`, anew after every round.
    """
    deadline = time.monotonic() + 60 * options.minutes
    wanted = [entry for entry in ENTRIES if entry.ours or not options.peer or entry.name in options.peer]
    turns = [(model, mode) for model in built for mode in _modes(options.amx)]
    facts = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command(sys.argv[1:]),
    }
    found: list[Comparison] = []
    for left, (model, (name, hidden)) in zip(range(len(turns), 0, -1), turns, strict=True):
        entries = [entry for entry in wanted if entry.runs(model.name)]
        left_out = {entry.name: entry.why for entry in wanted if entry not in entries}
        setup = _setup(model, built[model], options.place)
        seconds = (deadline - time.monotonic()) / left
        print(
            f"{model.name}, {name}: at most {seconds / 60:.0f} minutes, {left - 1} like it to follow", file=sys.stderr
        )
        begin = time.monotonic()
        limits = measure(model.name, _tokens(setup), hidden)
        so_far = partial(Comparison, model.name, name, limits=limits, left_out=left_out)

        def keep(results: list[Result], so_far: "partial[Comparison]" = so_far) -> None:
            write([*found, so_far(results)], facts, options.place)

        rest = seconds - (time.monotonic() - begin)
        one = Turns(setup, entries, options.place / "environments", hidden, keep)
        found.append(so_far(one.run(options.starts, options.rounds, rest)))
        write(found, facts, options.place)
    write(found, facts, options.output)


def _modes(amx_wanted: str) -> list[tuple[str, bool]]:
    """Return the modes of AMX to measure: their names, and whether it is hidden."""
    if not amx.available():
        if amx_wanted == "on":
            raise BenchmarkError("this processor has no AMX: leave --amx out")
        return [(NONE, False)]
    return {"on": [(WITH, False)], "off": [(WITHOUT, True)], "both": [(WITH, False), (WITHOUT, True)]}[amx_wanted]


def _setup(model: Model, bundles: Mapping[tuple[str, str], Path], place: Path) -> Setup:
    ours = {entry.options["engine"] for entry in OURS}
    named = {"-".join(key): bundle.resolve() for key, bundle in bundles.items() if "-".join(key) in ours}
    hub = (bundles["torch", "fp32"] / model.hub).resolve()
    return Setup(
        model.name,
        model.tag,
        (place / model.name / "peers").resolve(),
        hub,
        named,
        min(2, len(os.sched_getaffinity(0))),
    )


def _tokens(setup: Setup) -> int | None:
    """Return how many tokens of the first caption a causal text tower has to compute; None where all count."""
    import numpy as np

    from handler.manifest import load

    export = load(setup.bundles["onnx-int8"]).models[0].export or {}
    if not export["causal_text"]:
        return None
    ids = np.load(setup.peers / "inputs" / "ids.npy")[0]
    end = ids.argmax() if export["end_id"] is None else (ids == export["end_id"]).argmax()
    return int(end) + 1
