"""Builds of the embedded model as `make build package` leaves them, each made once per run."""

import functools
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.conftest import build_demo
from tests.e2e.packages import package, retarget

Builds = Callable[[str, str], Path]


def factory(root: Path) -> Builds:
    """Return what makes a build directory by shape and precision, with the bundle in it, for ONNX Runtime."""

    @functools.cache
    def bundle(precision: str) -> Path:
        directory = root / f"bundle-{precision}"
        directory.mkdir()
        return build_demo(directory, "onnx", precision)

    @functools.cache
    def build(shape: str, precision: str) -> Path:
        directory = root / f"{shape}-{precision}"
        shutil.copytree(bundle(precision), directory / "bundle")
        retarget(directory / "bundle", package=shape)
        return _told_apart(package(directory / "bundle", directory))

    return build


def broken(build: Path, copy: Path) -> Path:
    """Copy a build and damage its weights as a bad disk would: same size, other bytes, everything else consistent."""
    shutil.copytree(build / "bundle", copy / "bundle")
    weights = max((copy / "bundle" / "models").rglob("*"), key=lambda path: path.stat().st_size)
    content = bytearray(weights.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(byte ^ 0xFF for byte in content[middle : middle + 64])
    weights.write_bytes(content)
    package(copy / "bundle", copy)
    dockerfile = copy / "image" / "Dockerfile"
    if dockerfile.exists():  # without its last step, which would find the damage when the image is built
        steps = dockerfile.read_text().splitlines(keepends=True)
        dockerfile.write_text("".join(step for step in steps if "handler.selfcheck" not in step))
    return _told_apart(copy)


def _told_apart(build: Path) -> Path:
    """Give each layer build a function.zip of its own.

    The emulator keeps one pool of execution environments for a function's zip, whatever the layers of its versions.
    """
    archive, contract = build / "function.zip", build / "package.json"
    if archive.exists():
        with zipfile.ZipFile(archive, "a") as opened:
            opened.writestr("emulator.txt", str(build))
        content = json.loads(contract.read_text())
        row = next(row for row in content["artefacts"] if row["role"] == "function")
        row["bytes"] = archive.stat().st_size
        contract.write_text(json.dumps(content))
    return build


def manifest_sha256(build: Path) -> str:
    """Name a build's bundle as its health check does."""
    return hashlib.sha256((build / "bundle" / "manifest.json").read_bytes()).hexdigest()
