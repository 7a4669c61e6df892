"""Bundles packaged by the real command, as folders by the places where Lambda has them."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.container import unzip
from tests.e2e.packages import package, retarget
from tests.processors.emulated import entering


def packaged(bundle: Path, scratch: Path, shape: str) -> dict[str, Path]:
    """Package a bundle for arm64 as "layer" or "image"; returns its folders by where they stand in Lambda."""
    output = scratch / shape
    shutil.copytree(bundle, output / "bundle")
    retarget(output / "bundle", architecture="arm64", package=shape)
    package(output / "bundle", output, "--cache", str(scratch / "packages"))
    return image_places(output / "image") if shape == "image" else _zipped(output)


def image_places(context: Path) -> dict[str, Path]:
    """Do what the Dockerfile does, whose first step compiles; returns where it puts what."""
    places = {"/opt/python": context / "dependencies", "/var/task/handler": context / "handler"}
    compile_by_debian(places, context / "bytecode.py")
    return {**places, "/opt/openclip": context / "bundle"}


def compile_by_debian(places: Mapping[str, Path], program: Path) -> None:
    """Compile folders, by where they stand, by Debian's Python 3.13 of x86_64; `program` is bytecode.py."""
    for place, folder in places.items():
        command = ["/usr/bin/python3.13", "/var/task/bytecode.py", place]
        compiled = entering("amd64", {**places, "/var/task/bytecode.py": program}, as_root=True)
        run = subprocess.run([*compiled, *command], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        assert any(folder.rglob("*.pyc"))


def _zipped(output: Path) -> dict[str, Path]:
    layers = [output / "layer.zip", output / "layer-deps.zip"]
    return {
        "/var/task": unzip([output / "function.zip"], output / "task"),
        "/opt": unzip(layers, output / "opt"),
    }
