"""A container image as it was saved (`docker save`, or an OCI layout), and the environment that it sets."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer.doctor.limits import MAX_MEMBERS, MAX_TEXT, Budget, LimitReached, UnreadableError
from layer.doctor.readers.image_layers import Layer, kept, lay, read_layer
from layer.doctor.readers.regular import open_regular
from layer.doctor.readers.shapes import as_dict, as_dicts, as_strings, parse
from layer.doctor.readers.streams import content_stream, members, opened_tar, read_member
from layer.doctor.readers.tree import MAX_LINKS, Tree
from layer.findings.finding import Finding

NAMES = ("manifest.json", "index.json")
SMALL_BLOBS = 8_000_000  # bytes of configs and indexes together


@dataclass(frozen=True)
class Image:
    """An image's files, its environment variables, and whether it was saved with attestations."""

    tree: Tree
    environ: dict[str, str]
    attested: bool


@dataclass
class _Archive:
    """What is in the saved file itself: small files by name, links by name, and every name."""

    texts: dict[str, bytes]
    links: dict[str, str]
    names: set[str]


def read_image(path: Path, budget: Budget) -> Image | None:
    """Read a saved image; None for a tar that holds none. Raises UnreadableError."""
    listing = _Archive({}, {}, set())
    try:
        _list(path, budget, listing)
    except UnreadableError:
        if listing.names & {*NAMES}:
            raise
        return None  # whose reader says the same, and what is wrong with the files before
    index = as_dict(_json(listing, "index.json")) if "index.json" in listing.texts else {}
    images = _json(listing, "manifest.json") if "manifest.json" in listing.texts else {}
    if not isinstance(images, dict):  # as a bundle's is
        found = as_dict(next(iter(as_dicts(images)), None))
        config, layers = found.get("Config"), as_strings(found.get("Layers"))
    elif "index.json" in listing.texts:
        config, layers = _of_oci(listing, index)
    elif "layers" in images and "config" in images:  # a directory of skopeo, packed
        config, layers = _hex(as_dict(images["config"])), [_hex(layer) for layer in as_dicts(images["layers"])]
    else:
        return None
    if not isinstance(config, str):
        raise UnreadableError("manifest.json", "it names no config")
    settings = as_dict(as_dict(_json(listing, config)).get("config"))
    environ = dict(line.partition("=")[::2] for line in as_strings(settings.get("Env")))
    wanted = [_end_of_links(listing, layer) for layer in layers]
    tree = _layered(path, wanted, budget)
    for layer, name in zip(layers, wanted, strict=True):
        if name not in listing.names:
            tree.problem(Finding("unreadable", layer, "the layer is missing in the archive"))
    return Image(tree, environ, any(_is_attestation(described) for described, _ in _described(listing, index)))


def _list(path: Path, budget: Budget, found: _Archive) -> None:
    """Read the names and the small files of an archive into `found`. Raises UnreadableError where it breaks off."""
    held = 0
    with open_regular(path, str(path)) as source:
        archive, counted = opened_tar(source, str(path), budget)
        for member in members(archive, counted, str(path)):
            budget.record(len(member.name) + len(member.linkname))
            name = posixpath.normpath(member.name)
            found.names.add(name)
            if member.issym() or member.islnk():
                base = posixpath.dirname(name) if member.issym() else ""
                found.links[name] = posixpath.normpath(posixpath.join(base, member.linkname))
            elif member.isfile() and member.size <= MAX_TEXT and held + member.size <= SMALL_BLOBS:
                data = read_member(archive, counted, member, MAX_TEXT)
                if (
                    data[:1] in (b"{", b"[") or name in NAMES
                ):  # a config or an index; a small layer is read when its turn comes
                    held += len(data)
                    found.texts[name] = data
            elif name in NAMES:
                raise UnreadableError(name, f"it has {member.size:,} bytes")


def _of_oci(listing: _Archive, index: dict[str, Any]) -> tuple[object, list[str]]:
    """Return the config and the layers of the first image of an OCI layout, which has no manifest.json."""
    for described, image in _described(listing, index):
        if "config" in image and not _is_attestation(described):
            return _blob(as_dict(image["config"])), [_blob(layer) for layer in as_dicts(image.get("layers"))]
    raise UnreadableError("index.json", "it names no image that is in the archive")


def _described(listing: _Archive, index: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield what an index describes, each with its document, which is empty where the archive does not have it.

    An index that it describes is gone through, too: BuildKit has one in index.json, with attestations in it.
    """
    todo, seen = [index], set[str]()
    while todo:
        for described in as_dicts(todo.pop().get("manifests")):
            name = _blob(described)
            document = as_dict(_json(listing, name)) if name in listing.texts and name not in seen else {}
            seen.add(name)
            yield described, document
            if "manifests" in document:
                todo.append(document)


def _is_attestation(described: dict[str, Any]) -> bool:
    return as_dict(described.get("annotations")).get("vnd.docker.reference.type") == "attestation-manifest"


def _blob(described: dict[str, Any]) -> str:
    return "blobs/" + str(described.get("digest")).replace(":", "/")


def _hex(described: dict[str, Any]) -> str:
    """Return the name of a blob in what `skopeo copy ... dir:` and `podman save --format docker-dir` write."""
    return str(described.get("digest")).rpartition(":")[2]


def _json(listing: _Archive, name: str) -> object:
    text = listing.texts.get(_end_of_links(listing, name))
    if text is None:
        raise UnreadableError(name, "it is missing in the archive, or no JSON")
    return parse(text, name)


def _end_of_links(listing: _Archive, name: str) -> str:
    name = posixpath.normpath(name)
    for _ in range(MAX_LINKS):
        if name not in listing.links:
            return name
        name = listing.links[name]
    raise UnreadableError(name, "it links to itself")


def _layered(path: Path, wanted: list[str], budget: Budget) -> Tree:
    """Read the layers as they come in the file, then lay them upon each other in their own order."""
    found: dict[str, Layer] = {}
    missing = set(wanted)
    tree = Tree(budget)
    with open_regular(path, str(path)) as source:
        archive, counted = opened_tar(source, str(path), budget)
        for member in members(archive, counted, str(path)):
            name = posixpath.normpath(member.name)
            if name not in missing or not member.isfile():
                continue
            missing.remove(name)
            found[name] = []
            try:
                read_layer(content_stream(archive, counted, member), name, budget, found[name])
            except UnreadableError as error:
                tree.problem(Finding("unreadable", error.where, error.reason))
    contents: dict[str, bytes] = {}
    tree.read = kept(contents)
    if sum(len(found[name]) for name in wanted if name in found) > 4 * MAX_MEMBERS:
        raise LimitReached("its layers are named again and again")
    for name in wanted:
        if name in found:
            lay(tree, found[name], contents)
    return tree
