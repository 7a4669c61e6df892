"""Examine what the doctor is pointed to: a directory, a saved or local image, a zip, a log, or a running function."""

import os
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from layer.doctor.address import address_problems
from layer.doctor.cache import cache_problems, caches
from layer.doctor.code import code_problems, sets_offline
from layer.doctor.dockerfile import dockerfile_problems, read_dockerfile
from layer.doctor.environment import cache_place, environment_problems
from layer.doctor.finding import Finding
from layer.doctor.image import Image, read_image, saved
from layer.doctor.package import image_problems, layer_problems, library_problems, rights_problems
from layer.doctor.symptoms import symptoms
from layer.doctor.tree import Tree, of_directory, of_zip
from layer.errors import DoctorError, VerifyError


def examine(what: str) -> list[Finding]:
    """Return what is wrong, worst first. Raises DoctorError where there is nothing to examine."""
    return sorted(set(_examine(what)), key=lambda finding: (not finding.fatal, finding))


def _examine(what: str) -> Iterator[Finding]:
    path = Path(what)
    if what.startswith(("http://", "https://")):
        yield from address_problems(what, os.environ.get("OPENCLIP_API_KEY"))
    elif path.is_dir():
        yield from _directory(path)
    elif path.is_file() and zipfile.is_zipfile(path):
        yield from _zip(path)
    elif path.is_file() and tarfile.is_tarfile(path):
        yield from _image(read_image(path), what)
    elif path.is_file():
        yield from symptoms(path.read_text(encoding="utf-8", errors="replace"), what)
    elif path.exists() or "/" in what[:1]:
        raise DoctorError(f"{what} is not there, or neither a directory nor a file")
    else:
        with saved(what) as archive:
            yield from _image(read_image(archive), what)


def _directory(path: Path) -> Iterator[Finding]:
    if (path / "manifest.json").is_file() and (path / "models").is_dir():
        yield from _bundle(path)
        return
    tree = of_directory(path)
    dockerfile = path / "Dockerfile"
    if dockerfile.is_file():
        found = read_dockerfile(dockerfile.read_text(encoding="utf-8"))
        yield from dockerfile_problems(found, str(dockerfile))
        yield from environment_problems(found.environ, str(dockerfile), sets_offline(tree))
    yield from _tree(tree, what=str(path))


def _bundle(path: Path) -> Iterator[Finding]:
    """Verify a bundle of this project's own, by what it says of itself."""
    from layer.verify import verify

    try:
        verify(path)
    except VerifyError as error:
        yield Finding("bundle-broken", str(path), str(error).replace("\n", " "), "python -m layer build")


def _zip(path: Path) -> Iterator[Finding]:
    tree = of_zip(path)
    yield from layer_problems(tree, str(path))
    yield from _tree(tree, str(path))


def _image(image: Image, what: str) -> Iterator[Finding]:
    yield from image_problems(image.tree, image.attested, what)
    yield from environment_problems(image.environ, what, sets_offline(image.tree))
    yield from _place_problems(image.tree, image.environ, what)
    # An image's own system holds files that are root's alone by intent: the model's and the function's are looked at.
    places = ("var/task/", "opt/", *(f"{hub}/" for hub in caches(image.tree)))
    own = {path: node for path, node in image.tree.nodes.items() if path.startswith(places)}
    yield from _tree(image.tree, what, Tree(nodes=own))


def _place_problems(tree: Tree, environ: Mapping[str, str], where: str) -> Iterator[Finding]:
    """Name an image whose cache is not where its environment makes huggingface_hub look."""
    place = cache_place(environ).lstrip("/")
    found = caches(tree)
    if found and place not in found and not place.startswith("tmp/"):  # what is under /tmp is made at the start
        yield Finding(
            "cache-elsewhere",
            where,
            f"the cache is at /{found[0]}, and huggingface_hub will look in /{place}",
            f"ENV HF_HUB_CACHE=/{found[0]}",
        )
    if place in found and place.startswith("root/"):
        yield Finding(
            "cache-in-roots-home",
            where,
            f"the cache is at /{place}: Lambda's user may not enter /root, and has another home",
            "move it to /opt/hf, and ENV HF_HOME=/opt/hf",
        )


def _tree(tree: Tree, what: str, own: Tree | None = None) -> Iterator[Finding]:
    for hub in caches(tree):
        yield from cache_problems(tree, hub)
    yield from code_problems(tree)
    yield from library_problems(tree, what)
    yield from rights_problems(own or tree, what)
