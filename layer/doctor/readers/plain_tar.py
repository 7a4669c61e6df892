"""A tar that is no saved image: a packed cache or project, or the file system that `docker export` writes."""

from pathlib import Path

from layer.doctor.limits import Budget, UnreadableError
from layer.doctor.readers.image_layers import Layer, kept, lay, read_layer
from layer.doctor.readers.regular import open_regular
from layer.doctor.readers.tree import Tree
from layer.findings.finding import Finding


def of_tar(path: Path, budget: Budget) -> Tree:
    """Read a tar's tree. Where it breaks off, what came before is in the tree, and the reason among its problems."""
    tree = Tree(budget)
    layer: Layer = []
    with open_regular(path, str(path)) as source:
        try:
            read_layer(source, str(path), budget, layer)
        except UnreadableError as error:
            tree.problem(Finding("unreadable", error.where, error.reason))
    contents: dict[str, bytes] = {}
    tree.read = kept(contents)
    lay(tree, layer, contents)
    return tree
