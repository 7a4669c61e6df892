"""The checks of a directory, a zip and an image, in their order. None says that something known was recognized."""

import posixpath
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from layer.bundle.records import NAME as MANIFEST
from layer.doctor.checks.bundle import file_problems, listed
from layer.doctor.checks.cache import cache_problems, caches
from layer.doctor.checks.code import Code, read_code
from layer.doctor.checks.environment import cache_place, deployed_environment, environment_problems
from layer.doctor.checks.package import (
    asks_hub,
    has_packages,
    image_problems,
    layer_problems,
    libraries,
    library_problems,
    rights_problems,
)
from layer.doctor.guarded import guarded
from layer.doctor.limits import MAX_TEXT
from layer.doctor.readers.dockerfile import dockerfile_problems, read_dockerfile
from layer.doctor.readers.image import Image
from layer.doctor.readers.tree import Tree
from layer.doctor.readers.wanted import BUNDLE_OF_LAYER
from layer.findings.finding import Finding

Checked = Iterator[Finding | None]
OF_SKOPEO, MAX_VERSION = "Directory Transport Version:", 100  # the beginning of its file `version`, and its bytes


def directory_problems(tree: Tree, path: Path, dockerfile: str = "Dockerfile") -> Checked:
    """Name what is wrong with a directory: a Docker context, a function's code, or one that holds a cache."""
    code = read_code(tree)
    if tree.has("Dockerfile"):
        yield None
        yield from guarded(_dockerfile(tree, code, str(path / dockerfile)))
    if path.resolve().name.startswith("models--"):
        yield Finding("nothing-known", str(path), "this is one model of a cache: name the directory above it")
    if _is_unpacked_image(tree):
        packed = f": pack them, and name the tar: tar -cf image.tar -C {shlex.quote(str(path))} ."
        yield Finding("nothing-known", str(path), "this is an image's layers in a directory", packed)
    yield from _problems(tree, code, str(path), lambda name: not _is_hidden(name))


def zip_problems(tree: Tree, name: str) -> Checked:
    """Name what is wrong with a zip, as a layer or a function."""
    yield from tree.problems
    yield from layer_problems(tree, name)
    if tree.has(BUNDLE_OF_LAYER):
        yield None
        yield from guarded(_bundle(tree))
    elif has_packages(tree):
        yield None
    code = read_code(tree)
    yield from _packed_bundles(tree, code, name)
    yield from _problems(tree, code, name)


def image_findings(image: Image, name: str) -> Checked:
    """Name what is wrong with an image. Where nothing in it asks the hub, its environment need not say offline."""
    tree, code = image.tree, read_code(image.tree)
    yield from tree.problems
    yield from image_problems(tree, image.attested, name)
    asks = code.found or bool(caches(tree)) or asks_hub(tree)
    if asks or has_packages(tree) or tree.has(f"opt/{BUNDLE_OF_LAYER}"):
        yield None
    yield from environment_problems(image.environ, name, code.sets_offline or not asks)
    yield from _place_problems(tree, image.environ, name)
    yield from _problems(tree, code, name, _of_function(tree))


def tar_problems(tree: Tree, name: str) -> Checked:
    """Name what is wrong with a packed directory, or with a container's files: `docker export` has no environment."""
    yield from tree.problems
    whole_system = tree.has("etc/passwd")
    if whole_system:
        yield from image_problems(tree, False, name)
        if has_packages(tree):
            yield None
    ships = _of_function(tree) if whole_system else lambda path: not _is_hidden(path)
    code = read_code(tree)
    yield from _packed_bundles(tree, code, name)
    yield from _problems(tree, code, name, ships)


def _packed_bundles(tree: Tree, code: Code, name: str) -> Iterator[Finding]:
    """Name a bundle that was packed alone: a function's zip may have one beside its code and packages."""
    if code.found or has_packages(tree) or any(name.endswith(".py") for name in tree.names("")):
        return
    for folder in ("", *(f"{name}/" for name in tree.names("") if f"{name}/{MANIFEST}" != BUNDLE_OF_LAYER)):
        if tree.get(f"{folder}{MANIFEST}") and tree.names(f"{folder}models"):
            yield Finding("nothing-known", name, "this is a packed bundle: unpack it, and name its directory")


def _is_unpacked_image(tree: Tree) -> bool:
    """Tell whether a directory is what skopeo writes as oci: or dir:, or what was unpacked of `docker save`."""
    if not tree.has(MANIFEST):
        return tree.has("oci-layout")
    version = tree.get("version")
    of_skopeo = version and version.size <= MAX_VERSION and (tree.text("version") or "").startswith(OF_SKOPEO)
    old_docker = any(tree.has(f"{name}/layer.tar") for name in tree.names(""))
    return bool(of_skopeo) or old_docker or tree.has("oci-layout")


def _of_function(tree: Tree) -> Callable[[str], bool]:
    """Tell which files of an image Lambda's user must be able to read: the model's and the function's.

    Some files of the image's operating system are only for root, on purpose.
    """
    places = ("var/task/", "opt/", *(f"{hub}/" for hub in caches(tree)))
    return lambda path: path.startswith(places)


def _bundle(tree: Tree) -> Iterator[Finding]:
    yield from file_problems(tree, listed(tree, BUNDLE_OF_LAYER), posixpath.dirname(BUNDLE_OF_LAYER))


def _dockerfile(tree: Tree, code: Code, where: str) -> Iterator[Finding]:
    goal = tree.target("Dockerfile") or ""
    found = read_dockerfile(tree.content(goal, MAX_TEXT).decode("utf-8-sig", "replace"))
    yield from dockerfile_problems(found, where)
    environ = {**found.environ, **deployed_environment(tree)}  # Lambda's own replaces the image's
    yield from environment_problems(environ, where, code.sets_offline)


def _is_hidden(path: str) -> bool:
    """Tell whether a file of a project is one of its tools (.git, .env), which nobody packs; a cache's own are not."""
    return "models--" not in path and any(part.startswith(".") for part in path.split("/"))


def _problems(tree: Tree, code: Code, name: str, ships: Callable[[str], bool] = lambda _: True) -> Checked:
    """Run the checks of any tree; `ships` tells whether Lambda's user must be able to read a path."""
    found, hubs = libraries(tree), caches(tree)
    if found or hubs or code.found:
        yield None
    for hub in hubs:
        yield from cache_problems(tree, hub)
    yield from code.findings
    yield from library_problems(found, name)
    yield from rights_problems((pair for pair in tree.walk() if ships(pair[0])), name)


def _place_problems(tree: Tree, environ: dict[str, str], where: str) -> Iterator[Finding]:
    """Name an image whose cache is not where its environment makes huggingface_hub look."""
    place = cache_place(environ).lstrip("/")
    found = caches(tree)
    if found and place not in found and not place.startswith("tmp/"):  # what is under /tmp is made at the start
        yield Finding("cache-elsewhere", where, f"it is at /{found[0]}, and huggingface_hub will look in /{place}")
    if place in found and place.startswith("root/"):
        yield Finding("cache-in-roots-home", where, f"the cache is at /{place}")
