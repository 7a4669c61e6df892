"""Builds of the embedded model as `make build package` leaves them, each made once per run."""

import functools
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable
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
    """Copy a build and damage the weights that it ships as a bad disk would: same size, other bytes, else as it was."""
    shutil.copytree(build, copy)
    if (copy / "image").exists():
        weights = _largest((copy / "image" / "bundle" / "models").rglob("*"))
        weights.write_bytes(_damaged(weights.read_bytes()))
        # Without the step that would find the damage when the image is built.
        dockerfile = copy / "image" / "Dockerfile"
        steps = dockerfile.read_text().splitlines(keepends=True)
        dockerfile.write_text("".join(step for step in steps if "handler.selfcheck" not in step))
        return copy
    with zipfile.ZipFile(build / "layer.zip") as good, zipfile.ZipFile(copy / "layer.zip", "w") as bad:
        largest = max(good.infolist(), key=lambda member: member.file_size)
        for member in good.infolist():
            content = good.read(member)
            bad.writestr(member, _damaged(content) if member is largest else content)
    _size(copy, "models", copy / "layer.zip")
    return _told_apart(copy)


def _largest(paths: Iterable[Path]) -> Path:
    return max(paths, key=lambda path: path.stat().st_size)


def _damaged(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 0xFF for byte in content[middle : middle + 64]) + content[middle + 64 :]


def _told_apart(build: Path) -> Path:
    """Give each layer build a function.zip of its own.

    The emulator keeps one pool of execution environments for a function's zip, whatever the layers of its versions.
    """
    archive = build / "function.zip"
    if archive.exists():
        with zipfile.ZipFile(archive, "a") as opened:
            opened.writestr(f"emulator-{build.name}.txt", "")
        _size(build, "function", archive)
    return build


def _size(build: Path, role: str, archive: Path) -> None:
    contract = build / "package.json"
    content = json.loads(contract.read_text())
    next(row for row in content["artefacts"] if row["role"] == role)["bytes"] = archive.stat().st_size
    contract.write_text(json.dumps(content))


def manifest_sha256(build: Path) -> str:
    """Name a build's bundle as its health check does."""
    return hashlib.sha256((build / "bundle" / "manifest.json").read_bytes()).hexdigest()
