"""Compare a bundle of this project with its own manifest. Nothing is loaded; `verify` does that."""

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from layer.bundle.records import NAME as MANIFEST
from layer.bundle.records import SCHEMA, BundleFile
from layer.doctor.checks.cache import cache_problems, caches
from layer.doctor.limits import UnreadableError
from layer.doctor.readers.regular import open_regular
from layer.doctor.readers.shapes import as_dict, as_dicts, parse
from layer.doctor.readers.tree import Node, Tree
from layer.doctor.readers.wanted import MAX_MANIFEST
from layer.findings.finding import Finding

STEP = 1_000_000  # bytes hashed at once


def is_bundle(tree: Tree) -> bool:
    """Tell whether a tree looks like a bundle of this project."""
    models = tree.get("models")
    return tree.get(MANIFEST) is not None and models is not None and models.directory


def bundle_problems(tree: Tree, root: Path) -> Iterator[Finding]:
    """Name the files that differ from the manifest: missing ones first, then changed ones. Raises UnreadableError."""
    facts = listed(tree, MANIFEST)
    yield from file_problems(tree, facts, "")
    files = list(_files(facts))
    for hub in caches(tree):
        yield from cache_problems(tree, hub)
    for file in files:
        node = tree.get(file.path)
        if node is not None and node.size == file.size and _sha256(tree, root, file.path, node) != file.sha256:
            yield Finding("bundle-broken", file.path, "its sha256 is another")


def listed(tree: Tree, manifest: str) -> dict[str, Any]:
    """Read a manifest. Raises UnreadableError for one that lists no files."""
    facts = as_dict(parse(tree.content(manifest, MAX_MANIFEST), manifest))
    if not any(_files(facts)):
        raise UnreadableError(manifest, "it lists no files")
    return facts


def file_problems(tree: Tree, facts: Mapping[str, Any], folder: str) -> Iterator[Finding]:
    """Compare names and sizes of the bundle in a folder with its manifest."""
    if isinstance(schema := facts.get("schema"), int) and schema != SCHEMA:
        where = posixpath.join(folder, MANIFEST)
        yield Finding("bundle-outdated", where, f"its schema is {schema}, this version reads {SCHEMA}")
    known = {posixpath.join(folder, MANIFEST)}
    for file in _files(facts):
        path = posixpath.join(folder, file.path)
        known.add(path)
        node = tree.get(path)
        if node is None:
            yield Finding("bundle-broken", path, "it is missing")
        elif node.size != file.size:
            yield Finding("bundle-broken", path, f"it has {node.size:,} bytes, {file.size:,} were built")
    for path, node in tree.walk(folder):
        if not node.directory and path not in known:
            yield Finding("bundle-broken", path, "it is not in the manifest")


def _files(facts: Mapping[str, Any]) -> Iterator[BundleFile]:
    """Read the list of files. The manifest may be anything: an invalid size or hash becomes one that no file has."""
    for row in as_dicts(facts.get("files")):
        path, size, sha256 = row.get("path"), row.get("size"), row.get("sha256")
        if isinstance(path, str):
            yield BundleFile(path, size if isinstance(size, int) else -1, sha256 if isinstance(sha256, str) else "")


def _sha256(tree: Tree, root: Path, path: str, node: Node) -> str:
    digest = hashlib.sha256()
    if node.link is not None or node.directory:
        return ""
    with open_regular(root / path, path) as stream:
        while data := stream.read(STEP):
            tree.budget.check_time()
            digest.update(data)
    return digest.hexdigest()
