"""The files of a directory, a zip or an image as names, sizes, modes and links, without unpacking anything.

Kept as nested directories, so that each question costs as much as its response is long, however odd the names are.
"""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from layer.doctor.limits import MAX_NAME, MAX_TEXT, Budget, UnreadableError
from layer.findings.finding import Finding

MAX_LINKS = 40  # as Linux has it
MAX_PROBLEMS = 20  # unsafe and unreadable names that are reported; the rest are like them


@dataclass(frozen=True, slots=True)
class Node:
    """A file, a directory or a link; `mode` is its permission bits, `special` says what else it is ("a named pipe")."""

    size: int
    mode: int
    link: str | None = None
    directory: bool = False
    special: str = ""


@dataclass(slots=True)
class _Entry:
    node: Node | None = None  # None for a directory that is known by what is in it
    children: dict[str, "_Entry"] = field(default_factory=dict)


def _no_content(path: str, limit: int) -> bytes:
    raise UnreadableError(path, "its content was not kept")


class Tree:
    """Nodes by path, relative and with slashes.

    `root` is where the tree begins on the machine that will run it; `read(path, limit)` gives a file's bytes, at most
    one more than `limit`. What could not be taken into the tree is in `problems`; `closed` are the directories in which
    something may be that is not in the tree.
    """

    def __init__(self, budget: Budget, root: str = "/", read: Callable[[str, int], bytes] = _no_content) -> None:
        self.budget = budget
        self.root = root.rstrip("/")
        self.read = read
        self.problems: list[Finding] = []
        self.closed: set[str] = set()
        self._top = _Entry()

    def add(self, path: str, node: Node) -> None:
        """Take a node in, in place of what was there. A name that leads out of the tree becomes a problem."""
        parts = self._parts(path)
        if not parts:
            return
        entry = self._top
        for part in parts:
            child = entry.children.get(part)
            if child is None:
                self.budget.member(len(part))
                child = entry.children[part] = _Entry()
            entry = child
        entry.node = node
        if not node.directory:
            entry.children.clear()

    def remove(self, path: str, keep_directory: bool = False) -> None:
        """Take a path and all below it out; `keep_directory` leaves the directory itself."""
        parts = self._parts(path)
        entry, above = self._entry(parts), self._entry(parts[:-1])
        if entry is None or above is None:
            return
        if keep_directory:
            entry.children.clear()
        elif parts:
            del above.children[parts[-1]]

    def problem(self, finding: Finding) -> None:
        """Remember what could not be taken in."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(finding)

    def get(self, path: str) -> Node | None:
        """Return the node of a path, itself and not what it links to."""
        entry = self._entry(path.split("/"))
        return entry.node if entry else None

    def names(self, folder: str) -> list[str]:
        """List what lies directly in a folder."""
        entry = self._entry(folder.split("/") if folder else [])
        return sorted(entry.children) if entry else []

    def walk(self, folder: str = "") -> Iterator[tuple[str, Node]]:
        """Yield the path and the node of all that is below a folder."""
        start = self._entry(folder.split("/") if folder else [])
        todo = [(folder, start)] if start else []
        while todo:
            at, entry = todo.pop()
            for name in sorted(entry.children):
                self.budget.check_time()
                child, path = entry.children[name], f"{at}/{name}" if at else name
                if child.node is not None:
                    yield path, child.node
                if child.children:
                    todo.append((path, child))

    def folders(self, prefix: str) -> Iterator[str]:
        """Yield the folders, outermost first, in which some name begins with `prefix`; not what is below such names."""
        todo = [("", self._top)]
        while todo:
            at, entry = todo.pop()
            self.budget.check_time()
            if any(name.startswith(prefix) for name in entry.children):
                yield at
            for name, child in entry.children.items():
                if child.children and not name.startswith(prefix):
                    todo.append((f"{at}/{name}" if at else name, child))

    def target(self, path: str) -> str | None:
        """Follow links to the end, of a directory on the way too. None leads out of the tree or nowhere."""
        self.budget.check_time()
        links, todo, done, trail = 0, path.split("/")[::-1], list[str](), [self._top]
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not done:
                    return None
                del done[-1], trail[-1]
                continue
            child = trail[-1].children.get(part)
            if child is None:
                return None
            if child.node is None or child.node.link is None:
                done.append(part)
                trail.append(child)
                continue
            links, goal = links + 1, child.node.link
            if goal.startswith("/"):
                if not f"{goal}/".startswith(f"{self.root}/"):
                    return None
                goal, done, trail = goal.removeprefix(self.root), [], [self._top]
            todo += goal.split("/")[::-1]
            if links > MAX_LINKS or len(todo) > MAX_NAME:
                return None
        return "/".join(done)

    def content(self, path: str, limit: int = MAX_TEXT) -> bytes:
        """Read a file that is small. Raises UnreadableError."""
        node = self.get(path)
        if node is None or node.directory or node.link is not None:
            raise UnreadableError(path, "it is not a file")
        if node.special:
            raise UnreadableError(path, f"it is {node.special}, not a file")
        data = self.read(path, limit) if node.size <= limit else b""
        if node.size > limit or len(data) > limit:
            raise UnreadableError(path, f"it is larger than the {limit:,} bytes that such a file has at most")
        self.budget.content(len(data))
        return data

    def text(self, path: str) -> str | None:
        """Read a small file as text, following links; None where there is none. Raises UnreadableError."""
        goal = self.target(path)
        node = self.get(goal) if goal else None
        if goal is None or node is None or node.directory:
            return None
        return self.content(goal).decode("utf-8", "replace")

    def has(self, path: str) -> bool:
        """Tell whether something is there, at the end of its links."""
        return self.target(path) is not None

    def _entry(self, parts: list[str]) -> _Entry | None:
        entry: _Entry | None = self._top
        for part in parts:
            entry = entry.children.get(part) if entry else None
        return entry

    def _parts(self, path: str) -> list[str]:
        parts = [part for part in path[: MAX_NAME + 1].split("/") if part not in ("", ".")]
        if len(path) > MAX_NAME:
            self.problem(Finding("unreadable", path, f"the name is longer than {MAX_NAME:,} bytes"))
            return []
        if ".." in parts:
            self.problem(Finding("unsafe-name", path))
            return []
        return parts


def special(mode: int) -> str:
    """Say what a thing is that is neither a file, a directory nor a link; "" for those."""
    kinds = {
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "")
