"""Runs `python -m layer build` as a user does, with the local hub as its hub."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from layer.bundle import sandbox
from tests.hub.server import Hub
from tests.patience import BUILD_SECONDS

ROOT = Path(__file__).parents[2]
# Python imports sitecustomize by itself. $DIRECTORY is how the path of a directory ends that is about to be made.
FATAL = """
import os, signal, sys
def _end(event, arguments):
    if event == "os.mkdir" and str(arguments[0]).endswith(os.environ["DIRECTORY"]):
        os.kill(0, signal.SIGKILL)  # its group: the command, and all that it has started
sys.addaudithook(_end)
"""
TINY = '[[model]]\nname = "hf-hub:acme/tiny"\nengine = "torch"\n'


@dataclass(frozen=True)
class Builder:
    """`python -m layer <command>` of one models.toml, in a directory of its own, with the local hub as its hub."""

    root: Path
    hub: Hub
    offline: bool = False  # the command has no network at all
    command: str = "build"
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def bundle(self) -> Path:
        return self.root / "bundle"

    @property
    def manifest(self) -> bytes:
        return (self.bundle / "manifest.json").read_bytes()

    def reports(self, engine: str = "*") -> list[dict[str, Any]]:
        """What the shipped handler said of each model that is kept built: of one engine, one build at most."""
        places = self.root.glob(f"cache/built/*/{engine}-*/report.json")
        return [model for place in places for model in json.loads(place.read_text())["models"]]

    def start(self, spec: str = TINY, *options: str) -> "subprocess.Popen[str]":
        self.root.mkdir(exist_ok=True)
        (self.root / "models.toml").write_text(spec)
        start = without_network() if self.offline else [sys.executable]
        line = [*start, "-m", "layer", self.command, "--models", str(self.root / "models.toml")]
        line += ["--output", str(self.bundle), "--cache", str(self.root / "cache"), *options]
        environ = {"PATH": os.environ["PATH"], "HF_HOME": str(self.root / "hf"), "HOME": str(self.root)}
        environ |= {} if self.offline else {"HF_ENDPOINT": self.hub.url}
        environ |= self.environ
        return subprocess.Popen(
            line,
            cwd=ROOT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a group of its own, for `kill`
        )

    def run(
        self, spec: str = TINY, *options: str, timeout: float = BUILD_SECONDS
    ) -> "subprocess.CompletedProcess[str]":
        """Build to the end; past `timeout` seconds, or when the test is stopped, it is killed."""
        process = self.start(spec, *options)
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            kill(process)
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def without_network() -> list[str]:
    """Return how Python is started where there is no network: in a namespace, or with every socket refused."""
    return [*sandbox.namespaces(), sys.executable] if sandbox.namespaces() else [sys.executable, str(sandbox.GUARD)]


def killed_at(directory: str, scratch: Path) -> dict[str, str]:
    """Return an environment in which a command is killed as it makes a directory, told by the end of its name."""
    (scratch / "sitecustomize.py").write_text(FATAL)
    return {"PYTHONPATH": str(scratch), "DIRECTORY": directory}


def kill(process: "subprocess.Popen[str]") -> None:
    """Kill a build and all that it has started, and wait until it is gone."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
