"""A reader of the README: a fresh copy of the repository, and one shell that runs what a page says, line by line."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.e2e.aws import ROOT, Aws

SECONDS = 600  # of any one command
PROGRAMS = ("aws", "cd", "cp", "curl", "make", "openclip-lambda", "pip", "pipx", "python", "sam", "source")
FENCE = re.compile(r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
# The C library does not resolve names under localhost, as browsers and curl do. Python imports this by itself.
RESOLVE = """
import socket
_ask = socket.getaddrinfo
def _resolve(host, *arguments, **options):
    return _ask("127.0.0.1" if str(host).endswith(".localhost") else host, *arguments, **options)
socket.getaddrinfo = _resolve
"""


class Command(NamedTuple):
    """A command line of a page, without its comment, and whether the page shows its output below it."""

    line: str
    shown: bool


def commands(page: str) -> list[Command]:
    """Return the command lines of a page's code blocks, in order.

    A block holds commands if its lines begin with a program; in one with output, those begin with `$ `.
    """
    found: list[Command] = []
    for block in FENCE.finditer(page):
        lines = block["text"].replace("\\\n", " ").splitlines()
        if block["language"] not in ("", "sh", "bash", "console", "shell"):
            continue
        prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        if prompted:
            found += [Command(" ".join(line.split()), True) for line in prompted]
        elif lines and lines[0].split(" ")[0] in PROGRAMS:
            found += [Command(_bare(line), False) for line in lines if line.strip()]
    return found


def _bare(line: str) -> str:
    return " ".join(re.sub(r"\s#\s.*$", "", line).split())


@dataclass
class Reader:
    """A directory with a copy of the repository, and the environment of the shell, kept in a file between commands."""

    home: Path
    aws: Aws

    @property
    def folder(self) -> Path:
        return self.home / "openclip-lambda"

    def type(self, line: str, known: Mapping[str, str], environ: Mapping[str, str] | None = None) -> str:
        """Run a line as the reader would, with what they know put in for <placeholders>; returns what it printed."""
        for name, value in known.items():
            line = line.replace(name, value)
        state = self.home / "environment"
        script = f"set -eo pipefail\n. {shlex.quote(str(state))}\n{line}\nexport -p > {shlex.quote(str(state))}\n"
        run = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env={**_without_make(), **(environ or {})}, capture_output=True,
            text=True, stdin=subprocess.DEVNULL, timeout=SECONDS, check=False,
        )  # fmt: skip
        assert run.returncode == 0, f"{line}\n{run.stdout[-6000:]}\n{run.stderr[-6000:]}"
        return run.stdout + run.stderr

    def resolve_in_pipx(self) -> None:
        """Let what pipx installed find names under localhost, too: its scripts heed no PYTHONPATH."""
        for packages in (self.home / "pipx" / "venvs").glob("*/lib/python*/site-packages"):
            shutil.copy(self.home / "python" / "sitecustomize.py", packages)


def arrive(home: Path, aws: Aws) -> Reader:
    """Copy what git has of this repository, and link what was installed and downloaded: that takes minutes."""
    reader = Reader(home, aws)
    _copy(reader.folder)
    (reader.folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    (reader.folder / "build").mkdir()
    (ROOT / "build" / "cache").mkdir(parents=True, exist_ok=True)
    (reader.folder / "build" / "cache").symlink_to(ROOT / "build" / "cache")
    _stand_in_for_cdk(reader.folder / "node_modules")
    (home / "python").mkdir()
    (home / "python" / "sitecustomize.py").write_text(RESOLVE)
    path = os.pathsep.join((str(home / "bin"), os.environ["PATH"]))
    shell = {
        **{name: value for name, value in aws.environ.items() if name.startswith(("AWS_", "CDK_"))},
        **{"PATH": path, "PYTHONPATH": str(home / "python"), "READER_CDK": str(ROOT / "node_modules/.bin/cdk")},
        **{"PIPX_HOME": str(home / "pipx"), "PIPX_BIN_DIR": str(home / "bin"), "PIPX_MAN_DIR": str(home / "man")},
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in shell.items()]
    (home / "environment").write_text("".join(lines))
    return reader


def _without_make() -> dict[str, str]:
    """Return the environment without what a `make` that runs these tests hands on to the reader's own."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


def _copy(folder: Path) -> None:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (source := ROOT / name).is_file() and not source.is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    for path in folder.glob("requirements*.txt"):  # older than what was installed by them
        os.utime(path, (0, 0))


def _stand_in_for_cdk(modules: Path) -> None:
    """Put a `cdk` there that answers yes for the reader, and helps the emulator: see reader_cdk.py."""
    (modules / ".bin").mkdir(parents=True)
    command = modules / ".bin" / "cdk"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.e2e.reader_cdk "$@"\n')
    command.chmod(0o755)
    (modules / ".installed").touch()
