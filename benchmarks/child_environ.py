"""The environment of a process that is measured: little of this one's, and bytecode that is there already."""

import compileall
import os
from functools import cache
from pathlib import Path

from benchmarks import ROOT

CODE = ("handler", "benchmarks")


def child_environ(root: Path = ROOT) -> dict[str, str]:
    """Return what Python needs to run the code in `root`, a checkout or an image's build context.

    A package brings bytecode, so a checkout's is made first; a start that compiled it would measure the compiler.
    """
    _compile(root)
    paths = [root, *([root / "dependencies"] if _is_package(root) else [])]
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def plain_environ(name: str, tag: str, hub: Path) -> dict[str, str]:
    """Return the variables with which `benchmarks.child` runs the plain recipe, on the Hugging Face cache `hub`."""
    return {
        "BENCH_PLAIN": "1",
        "BENCH_NAME": name,
        "BENCH_TAG": tag,
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_CACHE": str(hub.resolve()),
    }


@cache
def _compile(root: Path) -> None:
    if not _is_package(root):  # which has its own
        for package in CODE:
            compileall.compile_dir(root / package, quiet=1)


def _is_package(root: Path) -> bool:
    return (root / "dependencies").is_dir()
