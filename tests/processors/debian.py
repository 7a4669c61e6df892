"""Debian trees for the tests: an arm64 one with the Python that Lambda has, and an x86_64 one that has qemu as well.

Made once and kept in build/processors. `python -m tests.processors.debian` says whether this machine can make them.
"""

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = ROOT / "build" / "processors"
# Its Python is 3.13. The qemu of the release before it, 7.2, crashes in ONNX Runtime.
SUITE = "trixie"
PACKAGES = {"arm64": "base-files,python3,libstdc++6", "amd64": "base-files,python3,libstdc++6,qemu-user"}
EMULATORS = {"arm64": "qemu-aarch64", "amd64": "qemu-x86_64"}
PLACES = ("opt/python", "opt/openclip", "var/task/handler")  # where Lambda has what was packaged
FILES = ("usr/bin/qemu", "var/task/bytecode.py")
USER = "sbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n"  # as in Lambda, where it has no home


def tree(architecture: str) -> Path:
    """Return Debian's tree of an architecture; made if need be, of packages whose scripts do not run."""
    HERE.mkdir(parents=True, exist_ok=True)
    target = HERE / f"{SUITE}-{architecture}"
    with (HERE / f"{architecture}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in two processes
        if not target.exists():
            aside = target.with_suffix(".aside")
            shutil.rmtree(aside, ignore_errors=True)
            _unpack(architecture, aside)
            aside.rename(target)
    return target


def emulator(architecture: str) -> Path:
    """Return qemu for programs of an architecture: one file, which needs no other."""
    return (tree("amd64") / "usr" / "bin" / EMULATORS[architecture]).resolve()


def _unpack(architecture: str, target: Path) -> None:
    command = ["mmdebstrap", "--quiet", "--variant=extract", f"--architectures={architecture}"]
    command += [f"--include={PACKAGES[architecture]}", SUITE, str(target)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{run.stderr.strip()}")
    for place in PLACES:
        (target / place).mkdir(parents=True)
    for place in FILES:
        (target / place).touch()
    (target / "etc" / "passwd").write_text(USER)


def _obstacle() -> str | None:
    """Say what keeps this machine from running the tests; None where nothing does."""
    if platform.machine() != "x86_64" or os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        return "it needs x86_64, root and Debian's mmdebstrap, which fetches qemu: `apt-get install mmdebstrap`"
    return None


if __name__ == "__main__":
    sys.exit((obstacle := _obstacle()) and f"tests/processors is left out: {obstacle}")
