"""Run seeded command lines in this process, with faults: `python -m tests.offline.command_fuzz SEED COUNT SCRATCH`.

Prints JSON: how each ended, and what is wrong with how it ended. Stubbed is what takes long, at clear seams: the
processes that a build starts, pip, docker, training, and the sleep between tries. The hub and the API are real servers.
"""

import argparse
import contextlib
import importlib
import io
import json
import logging
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.offline import command_stubs as stubs
from tests.offline.command_lines import DEMO, Case, cases, damage
from tests.offline.faults import failing, root_of

STATUSES = {0, 1, 2, 3, 130, 141}
# A message that tells what to do has one of these; of an option that is wrong, argparse shows the usage.
FIX = re.compile(
    r"\b(usage|run|set|give|name|check|choose|write|add|drop|build|install|start|free|change|raise|remove|put|use|take|"
    r"allow|make|point|look|expected|did you mean|try|close|end|unset|accept|save|show|ask|rename|remount|mount|copy|"
    r"sign|report|skipped|nothing listens|cannot be read|is it|are not those of|encoding with|no ending|"
    r"no directory|correct)\b",
    re.IGNORECASE,
)
MAIN = {
    "layer": "layer.cli.parser",
    "client": "openclip_lambda.cli.main",
    "devserver": "devserver.command",
    "benchmarks": "benchmarks.__main__",
}


class _Output(io.TextIOWrapper):
    """Standard output as a terminal, a pipe or a full disk has it."""

    def __init__(self, kind: str) -> None:
        self.raw_bytes = io.BytesIO()
        encoding = kind if kind in ("ascii", "latin-1") else "utf-8"
        super().__init__(self.raw_bytes, encoding=encoding, write_through=True)
        self.kind = kind

    def write(self, text: str) -> int:
        if self.kind == "pipe":
            raise BrokenPipeError(32, "Broken pipe")
        if self.kind == "full":
            raise OSError(28, "No space left on device")
        return super().write(text)

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def run_case(case: Case, place: Path, template: Path) -> dict[str, Any]:
    """Run one command line in a directory of its own; returns its status, its words, and what is wrong with them."""
    _lay_out(case, place, template)
    os.chdir(place)
    if case.damage == "no cwd":
        gone = place / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
    out = None if case.output == "none" else _Output(case.output)
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", write_through=True)
    command = _main(case.program)
    with contextlib.ExitStack() as stack:
        stack.enter_context(stubs.installed(case, place))
        stack.enter_context(_environment(case.environ))
        stack.enter_context(patch.object(sys, "stdout", out))
        stack.enter_context(patch.object(sys, "stderr", err))
        if case.fault:
            stack.enter_context(failing(case.fault))
        status = _status(lambda: command(case.arguments))
    told = err.buffer.getvalue().decode("utf-8", "replace")
    return {"status": status, "problem": _problem(case, status, told), "stderr": told[-3000:]}


def _lay_out(case: Case, place: Path, template: Path) -> None:
    made = ("cache", "models.lock") if case.seed % 3 else ()  # most builds have something to do
    shutil.copytree(template, place, symlinks=True, ignore=lambda folder, _: made if folder == str(template) else ())
    (place / "models.toml").write_bytes(case.spec)
    damage(case, place)


def _main(program: str) -> Callable[[list[str]], int]:
    if program == "devserver" or program.startswith("handler."):  # the handler's settings are read at its import
        for name in [name for name in sys.modules if name.partition(".")[0] in ("handler", "devserver")]:
            del sys.modules[name]
    main: Callable[[list[str]], int] = importlib.import_module(MAIN.get(program, program)).main
    return main


def _status(command: Callable[[], int]) -> int | str:
    try:
        return command()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    except BaseException as error:  # noqa: BLE001 - the very thing that must not happen
        import traceback

        traceback.print_exc()
        return type(error).__name__


def _problem(case: Case, status: int | str, told: str) -> str | None:
    if status not in STATUSES:
        return f"status {status}"
    if "Traceback" in told:
        return "a traceback"
    # A step's error is told with its fix by the command that starts it; the doctor's findings are its output.
    if (
        case.program in ("layer.bundle.reference", "layer.export.onnx_export", "handler.selfcheck")
        or "doctor" in case.arguments
    ):
        return None
    if status in (1, 2, 3) and not FIX.search(told):
        return "no fix is named"
    return None


@contextlib.contextmanager
def _environment(changes: dict[str, str | None]) -> Iterator[None]:
    with patch.dict(os.environ, {key: value for key, value in changes.items() if value is not None}):
        for key, value in changes.items():
            if value is None:
                os.environ.pop(key, None)
        yield


def main() -> None:
    """Run the cases and print the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    started = time.process_time()
    logging.disable(logging.WARNING)
    with stubs.servers(options.scratch) as places:
        template = _template(options.scratch)
        root = options.scratch / "cases"
        root.mkdir()
        wanted = cases(options.seed, options.count, root_of(root), places)
        ends, found = _run_all([case for case in wanted if options.only in (None, case.number)], root, template)
    report = {"ends": ends, "problems": found, "cpu_seconds": time.process_time() - started}
    json.dump(report, sys.__stdout__, indent=1)  # type: ignore[arg-type]
    sys.__stdout__.flush()  # type: ignore[union-attr]
    os._exit(0)  # threads of models that were being loaded are of no interest


def _template(scratch: Path) -> Path:
    """Make the directory that every case begins with a copy of; its bundle is built by the first command line."""
    template = scratch / "template"
    stubs.lay_out_template(template)
    line = "build --models models.toml --output bundle --cache cache"
    first = Case(-1, "layer", line.split(), DEMO.encode(), {}, "whole", None)
    made = run_case(first, scratch / "first", template)
    if made["status"] != 0:
        sys.exit(f"the first build failed: {made}")
    for name in ("bundle", "cache", "models.lock"):
        (scratch / "first" / name).rename(template / name)
    return template


def _run_all(wanted: list[Case], root: Path, template: Path) -> tuple[Counter[str], list[dict[str, Any]]]:
    """Run the cases one after the other; return how often each program ended how, and what is wrong."""
    found, ends = [], Counter[str]()
    for case in wanted:
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        ended = run_case(case, root / str(case.number), template)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.chdir(root)
        shutil.rmtree(root / str(case.number), ignore_errors=True)
        ends[f"{case.program} {ended['status']}"] += 1
        if ended["problem"] or len(wanted) == 1:
            found.append({"case": repr(case), **ended})
    return ends, found


if __name__ == "__main__":
    main()
