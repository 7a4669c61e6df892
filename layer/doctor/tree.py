"""The files of a directory or a zip as names, sizes, modes and links, without unpacking or changing anything."""

import posixpath
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

MAX_LINKS = 40  # as Linux has it


@dataclass(frozen=True)
class Node:
    """A file, a directory or a link; `mode` is its permission bits, `read` gives a file's bytes."""

    size: int
    mode: int
    link: str | None = None
    directory: bool = False
    read: Callable[[], bytes] = bytes


@dataclass
class Tree:
    """Nodes by path, relative and with slashes. `root` is where the tree begins on the machine that will run it."""

    root: str = "/"
    nodes: dict[str, Node] = field(default_factory=dict)

    def files(self) -> Iterator[tuple[str, Node]]:
        """Yield what is not a directory, links among it, in order."""
        yield from ((path, node) for path, node in sorted(self.nodes.items()) if not node.directory)

    def target(self, path: str) -> str | None:
        """Follow links to the end, of a directory on the way too. None leads out of the tree or nowhere."""
        for _ in range(MAX_LINKS):
            if ".." in path.split("/")[:1]:
                return None
            link = self._first_link(path)
            if link is None:
                return path if path in self.nodes else None
            at, rest = link
            goal = self.nodes[at].link or ""
            if goal.startswith("/"):
                if not goal.startswith(self.root):
                    return None
                base = goal.removeprefix(self.root).lstrip("/")
            else:
                base = posixpath.join(posixpath.dirname(at), goal)
            path = posixpath.normpath(posixpath.join(base, rest))
        return None

    def text(self, path: str) -> str | None:
        """Read a small file as text, following links; None where there is none."""
        goal = self.target(path)
        node = self.nodes.get(goal) if goal else None
        return None if node is None or node.directory else node.read().decode("utf-8", "replace")

    def has(self, path: str) -> bool:
        """Tell whether something is there, at the end of its links."""
        return self.target(path) is not None

    def names(self, folder: str) -> list[str]:
        """List what lies directly in a folder."""
        prefix = f"{folder}/" if folder else ""
        return sorted({path[len(prefix) :].split("/")[0] for path in self.nodes if path.startswith(prefix)})

    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(node.size for _, node in self.files() if node.link is None)

    def _first_link(self, path: str) -> tuple[str, str] | None:
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            head = "/".join(parts[:count])
            node = self.nodes.get(head)
            if node and node.link is not None:
                return head, "/".join(parts[count:])
        return None


def of_directory(root: Path) -> Tree:
    """Read a directory's tree."""
    tree = Tree(str(root.resolve()))
    for path in root.rglob("*"):
        status = path.lstat()
        link = str(path.readlink()) if path.is_symlink() else None
        node = Node(status.st_size, stat.S_IMODE(status.st_mode), link, link is None and path.is_dir(), path.read_bytes)
        tree.nodes[path.relative_to(root).as_posix()] = node
    return tree


def of_zip(path: Path) -> Tree:
    """Read a zip's tree, as Lambda unpacks it: a layer into /opt, a function into /var/task."""
    tree = Tree("/opt")
    archive = zipfile.ZipFile(path)
    for entry in archive.infolist():
        mode = entry.external_attr >> 16
        link = archive.read(entry).decode() if stat.S_ISLNK(mode) else None

        def read(entry: zipfile.ZipInfo = entry) -> bytes:
            return archive.read(entry)

        node = Node(entry.file_size, stat.S_IMODE(mode), link, entry.is_dir(), read)
        tree.nodes[entry.filename.rstrip("/")] = node
    return tree
