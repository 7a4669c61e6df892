"""Runs `python -m layer build` as a user does, with the local hub as its hub."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.hub.server import Hub

ROOT = Path(__file__).parents[2]
TINY = '[[model]]\nname = "hf-hub:acme/tiny"\nengine = "torch"\n'


@dataclass(frozen=True)
class Builder:
    """`python -m layer build` of one models.toml, in a directory of its own, with the local hub as its hub."""

    root: Path
    hub: Hub

    @property
    def bundle(self) -> Path:
        return self.root / "bundle"

    @property
    def manifest(self) -> bytes:
        return (self.bundle / "manifest.json").read_bytes()

    def start(self, spec: str = TINY, *options: str) -> "subprocess.Popen[str]":
        self.root.mkdir(exist_ok=True)
        (self.root / "models.toml").write_text(spec)
        command = [sys.executable, "-m", "layer", "build", "--models", str(self.root / "models.toml")]
        command += ["--output", str(self.bundle), "--cache", str(self.root / "cache"), *options]
        environ = {"PATH": os.environ["PATH"], "HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.root / "hf")}
        return subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, spec: str = TINY, *options: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(spec, *options)
        out, err = process.communicate(timeout=200)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)
