"""The throw-away stack: synthesized and deployed by the CDK CLI, as `make deploy` does, under a name of its own."""

import contextlib
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.measure.account import Account
from benchmarks.measure.errors import MeasureError
from benchmarks.measure.leftovers import PREFIX, Record
from benchmarks.measure.stopping import Stopping

CDK = ROOT / "node_modules" / ".bin" / "cdk"
STOP_SECONDS = 30  # that the CDK CLI has to end when it is asked to
# What the stack is, whatever the user's cdk.json says: called by nobody but this account, for as long as it takes.
SETTINGS = {"auth": "iam", "pages": "false", "direct_invokes": "true", "log_retention": "1", "snap_start": "true"}
# What a user may add: of these the function's figures depend, and none of them makes a resource that stays.
MORE = ("timeout", "threads", "cache_mode", "jpeg_decoding", "exif_orientation", "model_memory_mb", "max_image_pixels",
        "max_request_pixels", "max_items", "max_body_bytes")  # fmt: skip
APP = ROOT / "app.py"
OUT = "cdk.out"


class Cdk:
    """The CDK CLI in one account. `lock` is a descriptor that its processes hold as long as they live."""

    def __init__(self, program: Path, account: Account, lock: int, stopping: Stopping) -> None:
        self._program, self.account, self._lock, self._stopping = program, account, lock, stopping

    def run(self, folder: Path, *arguments: str) -> None:
        """Run a command in a folder, to its end. Raises MeasureError with what it said.

        When interrupted, the command is ended first.
        """
        python = str(Path(sys.executable).parent)
        environ = {**self.account.environ(os.environ), "PATH": f"{python}{os.pathsep}{os.environ['PATH']}"}
        with tempfile.TemporaryFile() as said:
            self._stopping.hold()  # or a process that has just begun might be left to itself
            # A session of its own: a terminal's Ctrl-C is for this process, which ends the CLI and destroys the stack.
            process = subprocess.Popen(
                [str(self._program), *arguments],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                pass_fds=(self._lock,),
            )
            try:
                self._stopping.release()
                status = process.wait()
            finally:
                _end(process)
            if status:
                said.seek(0)
                words = said.read().decode(errors="replace").strip()
                raise MeasureError(f"cdk {arguments[0]} ended with status {status}:\n{words[-4000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all that it started, so that nothing is created after it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            if number == signal.SIGKILL or not _lives(process.pid):
                return


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def new_name() -> str:
    """Name a stack as no other is named."""
    return PREFIX + secrets.token_hex(4)


def synthesize(cdk: Cdk, folder: Path, name: str, build: Path, memory: int, context: Sequence[str]) -> Record:
    """Write a stack's assembly into a folder; returns the record of what its deployment will make."""
    ours = {"stack_name": name, "asset_prefix": name, "build_dir": str(build.absolute()), "memory": str(memory)}
    given = [f"{key}={value}" for key, value in {**SETTINGS, **ours}.items()] + list(context)
    out = folder.absolute() / OUT
    configure(folder)
    cdk.run(folder, "synth", "--quiet", "--output", str(out), *(part for pair in given for part in ("-c", pair)))
    return _record(json.loads((out / f"{name}.assets.json").read_text()), name, cdk.account)


def configure(folder: Path) -> None:
    """Write a cdk.json into a folder, in which CDK and what reads that file find nothing of the user's own stack."""
    app = shlex.join([sys.executable, str(APP)])
    (folder / "cdk.json").write_text(json.dumps({"app": app, "context": _flags()}), encoding="utf-8")


def _flags() -> dict[str, Any]:
    """Return what the project's cdk.json says to CDK itself. The settings in it are of the user's own stack."""
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8")).get("context", {})
    return {key: value for key, value in context.items() if is_flag(key)}


def is_flag(key: str) -> bool:
    """Tell CDK's own keys, such as the bootstrap's qualifier, from settings of the stack, which are plain names."""
    return not key.isidentifier()


def deploy(cdk: Cdk, folder: Path, name: str) -> str:
    """Deploy the assembly in a folder; returns the function's name."""
    results, out = folder.absolute() / "outputs.json", folder.absolute() / OUT
    cdk.run(folder, "deploy", "--app", str(out), "--require-approval", "never", "--outputs-file", str(results))
    outputs: dict[str, str] = json.loads(results.read_text())[name]
    return outputs["FunctionName"]


def _record(assets: dict[str, Any], name: str, account: Account) -> Record:
    """Read where the uploads will lie."""

    def places(kind: str, key: str) -> list[str]:
        found = {
            destination[key]
            for asset in assets.get(kind, {}).values()
            for destination in asset["destinations"].values()
        }
        known = {"${AWS::AccountId}": account.number, "${AWS::Region}": account.region}
        for mark, value in known.items():
            found = {place.replace(mark, value) for place in found}
        return sorted(found)

    return Record(
        name, account.number, account.region, places("files", "bucketName"), places("dockerImages", "repositoryName")
    )
