"""The layers of an image: each read as a list of changes, then laid over the tree of those below."""

import posixpath
from collections.abc import Callable
from typing import IO, NamedTuple

from layer.doctor.limits import MAX_SOURCE, MAX_TEXT, Budget, UnreadableError
from layer.doctor.readers.streams import members, opened_tar, read_member
from layer.doctor.readers.tree import Node, Tree
from layer.doctor.readers.wanted import wanted
from layer.findings.finding import Finding

WHITEOUT = ".wh."  # OCI's image specification, "Layer Filesystem Changeset"
OPAQUE = ".wh..wh..opq"
SPECIAL = "a device or a named pipe"


class Change(NamedTuple):
    """A node at a path; without a node, what is taken away there; with `same_as`, another name of a file."""

    path: str
    node: Node | None
    same_as: str = ""
    content: bytes | None = None


Layer = list[Change]  # what one layer changes, in its order


def read_layer(stream: IO[bytes], where: str, budget: Budget, layer: Layer) -> None:
    """Read a layer's tar into `layer`. Raises UnreadableError where it breaks off; what came before stays."""
    archive, counted = opened_tar(stream, where, budget)
    for member in members(archive, counted, where):
        budget.record(len(member.name) + len(member.linkname))
        path = posixpath.normpath(member.name).lstrip("/")
        if posixpath.basename(path).startswith(WHITEOUT):
            layer.append(Change(path, None))
            continue
        content = None
        if member.isreg() and wanted(path, member.size):
            content = read_member(archive, counted, member, max(MAX_TEXT, MAX_SOURCE))
            budget.held(len(content))
        link = member.linkname if member.issym() else None
        same_as = posixpath.normpath(member.linkname).lstrip("/") if member.islnk() else ""
        other = "" if member.isreg() or member.isdir() or member.issym() or member.islnk() else SPECIAL
        layer.append(
            Change(path, Node(member.size, member.mode & 0o7777, link, member.isdir(), other), same_as, content)
        )


def lay(tree: Tree, layer: Layer, contents: dict[str, bytes]) -> None:
    """Lay one layer over the tree: what it has replaces, what it marks with .wh. goes."""
    for path, node, same_as, content in layer:
        tree.budget.check_time()
        folder, name = posixpath.split(path)
        if node is None:
            if name == OPAQUE:
                tree.remove(folder, keep_directory=True)
            else:
                tree.remove(posixpath.join(folder, name.removeprefix(WHITEOUT)))
            continue
        if same_as:
            if ".." in same_as.split("/"):
                tree.problem(Finding("unsafe-name", f"{path} -> {same_as}"))
                continue
            node, content = tree.get(same_as) or node, contents.get(same_as)
        tree.add(path, node)
        contents.pop(path, None)
        if content is not None:
            contents[path] = content


def kept(contents: dict[str, bytes]) -> Callable[[str, int], bytes]:
    """Return how a tree reads the contents that were kept while its layers were read."""

    def read(name: str, _: int) -> bytes:
        if name not in contents:
            raise UnreadableError(name, "it is larger than such a file has reason to be")
        return contents[name]

    return read
