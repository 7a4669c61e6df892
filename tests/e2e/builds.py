"""Builds as `make build package` leaves them, each made once per run: of the embedded model and one of full size."""

import functools
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.conftest import build_demo
from tests.e2e.packages import package, retarget
from tests.hub import repositories
from tests.hub.builder import Builder
from tests.hub.server import serving

Builds = Callable[[str, str], Path]
FULL_SIZE = "ViT-B-32"  # open_clip's most used model, which fills a layer to the last megabytes
FULL_SIZE_SPEC = (
    f'[[model]]\nname = "{FULL_SIZE}"\npretrained = "laion2b_s34b_b79k"\nengine = "onnx"\nprecision = "int8"\n'
)
EXPORT_SECONDS = 600  # on a machine that has other things to do; a quiet one takes 60


def factory(root: Path) -> Builds:
    """Return what makes a build directory by shape and model, with the bundle in it, for ONNX Runtime.

    The model is the embedded one as "int8" or "fp32", or FULL_SIZE.
    """

    @functools.cache
    def bundle(model: str) -> Path:
        directory = root / f"bundle-{model}"
        directory.mkdir()
        return full_size(directory) if model == FULL_SIZE else build_demo(directory, "onnx", model)

    @functools.cache
    def build(shape: str, model: str) -> Path:
        directory = root / f"{shape}-{model}"
        shutil.copytree(bundle(model), directory / "bundle", copy_function=os.link)
        retarget(directory / "bundle", package=shape)
        return package(directory / "bundle", directory)

    return build


def full_size(root: Path) -> Path:
    """Build a bundle of 151 million parameters: the architecture of the registry, with random weights."""
    repositories.random_weights(root / "repository", FULL_SIZE)
    with serving() as hub:
        hub.add("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", root / "repository")
        builder = Builder(root / "work", hub)
        run = builder.run(FULL_SIZE_SPEC, timeout=EXPORT_SECONDS)
    assert run.returncode == 0, run.stderr
    return builder.bundle


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
    return copy


def _largest(paths: Iterable[Path]) -> Path:
    return max(paths, key=lambda path: path.stat().st_size)


def _damaged(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 0xFF for byte in content[middle : middle + 64]) + content[middle + 64 :]


def told_apart(build: Path) -> Path:
    """Return a copy of a layer build with a function.zip of its own, made once; an image build as it is.

    The emulator keeps one pool of execution environments for a function's zip, whatever the layers of its versions.
    """
    if not (build / "function.zip").exists():
        return build
    copy = build.with_name(f"{build.name}-told-apart")
    if not copy.exists():
        shutil.copytree(build, copy)
        with zipfile.ZipFile(copy / "function.zip", "a") as opened:
            opened.writestr(f"emulator-{build.name}.txt", "")
        _size(copy, "function", copy / "function.zip")
    return copy


def _size(build: Path, role: str, archive: Path) -> None:
    contract = build / "package.json"
    content = json.loads(contract.read_text())
    next(row for row in content["artefacts"] if row["role"] == role)["bytes"] = archive.stat().st_size
    contract.write_text(json.dumps(content))


def manifest_sha256(build: Path) -> str:
    """Name a build's bundle as its health check does."""
    return hashlib.sha256((build / "bundle" / "manifest.json").read_bytes()).hexdigest()
