"""Read the tree of a directory on the disk."""

import os
import stat
from pathlib import Path

from layer.doctor.limits import Budget
from layer.doctor.readers.regular import read_regular
from layer.doctor.readers.tree import Node, Tree, special
from layer.findings.finding import Finding


def of_directory(root: Path, budget: Budget) -> Tree:
    """Read a directory's tree. What may not be entered becomes one of its problems."""
    tree = Tree(budget, str(root.resolve()), lambda path, limit: read_regular(root / path, path, limit))
    todo = [""]
    while todo:
        folder = todo.pop()
        refused = ""
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    node, why = _node(entry)
                    refused = refused or why
                    tree.add(path, node)
                    if node.directory and why:  # told of its parent: it cannot be listed either
                        tree.closed.add(path)
                    elif node.directory:
                        todo.append(path)
        except OSError as error:
            refused = error.strerror or str(error)
        if refused:
            tree.closed.add(folder)
            tree.problem(Finding("unreadable", folder or str(root), refused))
    return tree


def of_file(path: Path, name: str, budget: Budget) -> Tree:
    """Return the tree of one file alone, under another name."""
    tree = Tree(budget, str(path.parent.resolve()), lambda inside, limit: read_regular(path, inside, limit))
    tree.add(name, Node(path.stat().st_size, 0o644))
    return tree


def _node(entry: "os.DirEntry[str]") -> tuple[Node, str]:
    """Return an entry's node, and why it may not be asked for: its directory may be listed, and not entered."""
    try:
        status = entry.stat(follow_symlinks=False)
        link = os.readlink(entry.path) if stat.S_ISLNK(status.st_mode) else None  # noqa: PTH115 - a string is wanted
    except FileNotFoundError:  # it went while the directory was read
        return Node(0, 0o777, special="gone"), ""
    except OSError as error:
        reason = error.strerror or str(error)
        if _is_folder(entry):
            return Node(0, 0o777, directory=True), reason
        return Node(0, 0o777, special=f"out of reach ({reason})"), reason
    mode = status.st_mode
    return Node(status.st_size, stat.S_IMODE(mode), link, stat.S_ISDIR(mode), special(mode)), ""


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
