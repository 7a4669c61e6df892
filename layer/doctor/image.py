"""A container image as it was saved (`docker save`), layer upon layer, and the environment that it sets."""

import json
import posixpath
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from layer.doctor.tree import Node, Tree
from layer.errors import DoctorError

MAX_READ = 10_000_000  # bytes of a file that is read: configs, indexes and code, never weights


@dataclass(frozen=True)
class Image:
    """An image's files, its environment variables, its user, and whether it was saved with attestations."""

    tree: Tree
    environ: dict[str, str]
    user: str
    attested: bool


@contextmanager
def saved(reference: str) -> Iterator[Path]:
    """Save an image of the local Docker engine into a file. Raises DoctorError with Docker's reason."""
    with tempfile.TemporaryDirectory(prefix="openclip-doctor-") as folder:
        path = Path(folder) / "image.tar"
        try:
            run = subprocess.run(
                ["docker", "save", "-o", str(path), reference], capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise DoctorError(
                f"{reference} is no file and no address, and there is no docker to ask for an image of that name"
            ) from error
        if run.returncode != 0:
            raise DoctorError(f"{reference} is no file, no address and no image: {run.stderr.strip()}")
        yield path


def read_image(path: Path) -> Image:
    """Read a saved image. Raises DoctorError for a tar that is none."""
    with tarfile.open(path) as archive:
        names = set(archive.getnames())
        if "manifest.json" not in names:
            raise DoctorError(f"{path} is a tar but no image (no manifest.json): give a directory, a zip or an image")
        [described] = _json(archive, "manifest.json")[:1]
        config = _json(archive, described["Config"])
        tree = Tree()
        for layer in described["Layers"]:
            stream = archive.extractfile(layer)
            if stream:
                _apply(tree, stream)
        index = _json(archive, "index.json") if "index.json" in names else {}
    settings = config.get("config", {})
    environ = dict(line.partition("=")[::2] for line in settings.get("Env") or [])
    return Image(tree, environ, settings.get("User") or "root", "attestation-manifest" in json.dumps(index))


def _apply(tree: Tree, stream: IO[bytes]) -> None:
    """Lay one layer over the tree: what it has replaces, what it marks with .wh. goes."""
    with tarfile.open(fileobj=stream, mode="r|*") as layer:
        for member in layer:
            path = posixpath.normpath(member.name).lstrip("/")
            folder, name = posixpath.split(path)
            if name.startswith(".wh."):
                gone = folder if name == ".wh..wh..opq" else posixpath.join(folder, name.removeprefix(".wh."))
                for old in [
                    old for old in tree.nodes if old.startswith(f"{gone}/") or (old == gone and gone != folder)
                ]:
                    del tree.nodes[old]
                continue
            stream_of = layer.extractfile(member) if member.isfile() and member.size <= MAX_READ else None
            tree.nodes[path] = _node(tree, member, stream_of.read() if stream_of else b"")


def _node(tree: Tree, member: tarfile.TarInfo, content: bytes) -> Node:
    if member.islnk() and (same := tree.nodes.get(posixpath.normpath(member.linkname).lstrip("/"))):
        return same
    link = member.linkname if member.issym() else None
    return Node(member.size, member.mode & 0o7777, link, member.isdir(), _given(content))


def _given(content: bytes) -> Callable[[], bytes]:
    return lambda: content


def _json(archive: tarfile.TarFile, name: str) -> Any:
    stream = archive.extractfile(name)
    return json.load(stream) if stream else {}
