"""Run a batch on this machine: the repository's `python -m handler.batch`, in a process of its own.

This client knows only HTTP and files; what embeds is the repository's code, with the bundle that it built.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from openclip_lambda.bulk.terminal import say
from openclip_lambda.errors import ClientError

BUNDLE = "OPENCLIP_BUNDLE_DIR"
POLL_SECONDS = 0.5
READ_SECONDS = 2.0  # for its last lines
STOP_SECONDS = 30  # that the processes have to end in after Ctrl-C


def run(
    module: str,
    arguments: Sequence[str],
    needs: str,
    watch: Callable[[], None] = lambda: None,
    bundle: Callable[[Path], Path] | None = None,
    aloud: bool = False,
) -> int:
    """Run `python -m <module>` of the repository to its end, calling `watch` twice a second; returns its exit status.

    `needs` are imports, as Python takes them, that have to work there. `bundle` finds one, from the repository's root.
    What it says on standard error is passed on, and with `aloud` what it prints, too. Raises ClientError where the
    repository or its packages are missing.
    """
    root = _repository(module)
    python = _python(root, module, needs)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))}
    if bundle:
        environ[BUNDLE] = str(bundle(root))
    # -P: a directory called `handler` below the working directory is not taken for it.
    command = [python, "-P", "-m", module, *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    if not aloud:
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env=environ, start_new_session=True, **pipes)
    reader = threading.Thread(target=_pass_on, args=(process,), daemon=True)
    try:
        reader.start()
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(POLL_SECONDS)
                reader.join(READ_SECONDS)
                return status
            watch()
    finally:
        if process.poll() is None:  # Ctrl-C: the process hears of it from here alone
            _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if os.name == "nt":
        process.terminate()  # Windows knows no signal to another process
    else:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _pass_on(process: "subprocess.Popen[bytes]") -> None:
    for line in process.stderr or process.stdout or ():
        if text := line.decode(errors="replace").strip():
            say(text)


def _repository(module: str) -> Path:
    """Return the directory that has the package: the working directory, or where this file lies in a checkout."""
    relative = Path(*module.split(".")) / "__main__.py"
    for root in (Path.cwd(), *Path(__file__).resolve().parents):
        if (root / relative).is_file() and (root / "layer").is_dir():
            return root
    raise ClientError(
        f"{module} is not here: a folder is embedded by the code of the openclip-lambda repository. Change to a "
        "checkout of it, where `make venv` was run, and start the command there (`python -m client batch ...` is "
        "the same command); or send the folder to a deployed API: openclip-lambda embed"
    )


def _python(root: Path, module: str, needs: str) -> str:
    own = root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    told = ""
    for python in (sys.executable, str(own)):
        if not Path(python).exists():
            continue
        environ = {**os.environ, "PYTHONPATH": str(root)}
        tried = subprocess.run(
            [python, "-P", "-c", f"import {needs}"], env=environ, capture_output=True, text=True, check=False
        )
        if tried.returncode == 0:
            return python
        told = (tried.stderr.strip().splitlines() or [f"exit status {tried.returncode}"])[-1]
    packages = " ".join(
        sorted({name.partition(".")[0] for name in needs.split(", ") if not name.startswith("handler")})
    )
    raise ClientError(
        f"{module} cannot run in {root} ({told}): run `make venv` there, then `.venv/bin/pip install "
        f"{packages.replace('arro3', 'arro3-core arro3-io')}`"
    )


def bundle_of(given: Path | None, root: Path) -> Path:
    """Return the bundle that the user names, or the repository's own. Raises ClientError where that is none."""
    named = os.environ.get(BUNDLE)
    bundle = given or (Path(named) if named else root / "build" / "bundle")
    if not (bundle / "manifest.json").is_file():
        raise ClientError(
            f"{bundle} is no bundle: it has no manifest.json. Build one by `python -m layer build` in {root}, or name "
            f"one by --bundle or {BUNDLE}"
        )
    return bundle.absolute()


def image_formats() -> tuple[str, ...]:
    """Return what the bundle that a folder's run would take decodes besides what every bundle does.

    Nothing where there is no such bundle: an estimate needs none.
    """
    with contextlib.suppress(ClientError, OSError, ValueError, AttributeError):
        manifest = bundle_of(None, _repository("handler.batch")) / "manifest.json"
        return tuple(json.loads(manifest.read_text(encoding="utf-8")).get("target", {}).get("image_formats") or ())
    return ()
