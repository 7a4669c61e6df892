"""The handler on another processor: a package by qemu in Debian's tree, or this machine's libraries."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processors import debian

INVOKER = Path(__file__).with_name("invoker.py").read_text(encoding="utf-8")
LAMBDAS = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/home/sbx_user1051",  # Lambda's, which is not there
    "AWS_LAMBDA_FUNCTION_NAME": "openclip",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3538",  # two processors
}
IN_TREE = {"PYTHONPATH": "/var/task:/opt/python"}  # Lambda's module path: the task, then the layers
# $1 is a tree, $2 says how many pairs follow of a folder and its place in the tree, and then comes a user. The tree is
# read-only as Lambda's is, but for /tmp; its /sys is empty, as on Lambda's arm64 hosts.
ENTER = """set -e
tree=$1; pairs=$2; shift 2
mount --bind "$tree" "$tree"
mount --rbind /proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount -t tmpfs tmpfs "$tree/tmp"
while [ "$pairs" -gt 0 ]; do
  mount --bind "$1" "$tree$2"; shift 2; pairs=$((pairs - 1))
done
mount -o remount,ro,bind "$tree"
user=$1; shift
exec chroot --userspec="$user" "$tree" "$@"
"""


@dataclass(frozen=True)
class Answers:
    """What a process answered, one response an event, and all that it wrote besides."""

    responses: list[Any]
    stdout: str
    stderr: str


def in_tree(architecture: str, cpu: str, places: Mapping[str, Path], events: Sequence[Any]) -> Answers:
    """Ask a package for `architecture` on qemu's model `cpu`; `places` has its folders by where they stand."""
    python = ["/usr/bin/qemu", "-cpu", cpu, "/usr/bin/python3.13"]
    mounts = {**places, "/usr/bin/qemu": debian.emulator(architecture)}
    return _ask([*entering(architecture, mounts), *python], IN_TREE, events)


def instructions(cpu: str, places: Mapping[str, Path], events: Sequence[Any], names: Sequence[str]) -> dict[str, int]:
    """Count instructions for arm64 by their names, in the code that qemu translates while it answers `events`."""
    with tempfile.TemporaryFile("r+") as log:
        os.fchmod(log.fileno(), 0o666)  # the function's user opens it
        python = ["/usr/bin/qemu", "-cpu", cpu, "-d", "in_asm", "-D", f"/proc/self/fd/{log.fileno()}"]
        command = [*entering("arm64", {**places, "/usr/bin/qemu": debian.emulator("arm64")}), *python]
        _ask([*command, "/usr/bin/python3.13"], IN_TREE, events, log.fileno())
        log.seek(0)
        found = re.compile(rf"^0x[0-9a-f]+:  [0-9a-f]{{8}}  ({'|'.join(names)}) ")
        counted = [matched[1] for line in log if (matched := found.match(line))]
    return {name: counted.count(name) for name in names}


def entering(architecture: str, places: Mapping[str, Path], as_root: bool = False) -> list[str]:
    """Return the command that runs another inside Debian's tree, without network, with folders at their places."""
    user = "0:0" if as_root else "993:990"
    mounts = [part for place, folder in places.items() for part in (str(folder), place)]
    tree = str(debian.tree(architecture))
    return ["unshare", "--net", "--mount", "sh", "-c", ENTER, "sh", tree, str(len(places)), *mounts, user]


def here(bundle: Path, packages: Path | None, events: Sequence[Any], cpu: str | None = None) -> Answers:
    """Ask the handler on this machine's Python, as qemu's model `cpu` runs it where one is named.

    `packages` are the libraries, and no others; None: those of this environment.
    """
    emulator = [str(debian.emulator("amd64")), "-cpu", cpu] if cpu else []
    path = f"{packages}:{debian.ROOT}" if packages else str(debian.ROOT)
    with tempfile.TemporaryDirectory(prefix="openclip-") as scratch:
        environ = {"PYTHONPATH": path, "OPENCLIP_BUNDLE_DIR": str(bundle), "OPENCLIP_CACHE_DIR": scratch}
        python = ["unshare", "--net", *emulator, sys.executable, *(["-S"] if packages else [])]
        return _ask(python, environ, events)


def _ask(python: Sequence[str], environ: Mapping[str, str], events: Sequence[Any], *inherited: int) -> Answers:
    with tempfile.TemporaryFile("w+") as responses:
        run = subprocess.run(
            [*python, "-B", "-c", INVOKER, str(responses.fileno())],
            input="".join(f"{json.dumps(event)}\n" for event in events),
            env={**LAMBDAS, **environ},
            pass_fds=[responses.fileno(), *inherited],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        responses.seek(0)
        return Answers([json.loads(line) for line in responses], run.stdout, run.stderr)
