"""What Lambda itself refuses of a package: sizes, rights, places, and libraries that do not go together."""

import re
from collections.abc import Iterable, Iterator

from packaging.version import Version

from layer.doctor.checks.code import FREEZE
from layer.doctor.readers.tree import Node, Tree
from layer.findings.finding import Finding
from layer.registry.lambda_limits import IMAGE_BYTES, LAYER_BYTES
from layer.versions import BROKEN, MIN_VERSION

KNOWN = {*MIN_VERSION, *(name for name, _ in BROKEN), "torch", "torchvision"}
HUB = tuple(f"/{name}/__init__.py" for name in FREEZE)  # their *.dist-info may have been removed, to save space
METADATA = ".dist-info/METADATA"
# Where Lambda's Python looks, in a function's zip and in a layer's ("Packaging your layer content").
SEARCHED = re.compile(r"(python(/lib/python3\.\d+/site-packages)?)?")
PACKAGES = ("python", "lib", "site-packages", "dist-packages")  # what people name a directory of packages
MAX_VERSION = 64  # characters

Libraries = dict[str, str]  # a distribution's name -> its version


def libraries(tree: Tree) -> Libraries:
    """Return which of the libraries that the doctor knows are installed."""
    found = {}
    for path, _ in tree.walk():
        if path.endswith(METADATA):
            name, _, version = path.removesuffix(METADATA).rpartition("/")[2].partition("-")
            if name.lower() in KNOWN:
                found[name.lower()] = version
    return found


def asks_hub(tree: Tree) -> bool:
    """Tell whether a library is installed that asks Hugging Face's hub."""
    return any(f"/{path}".endswith(HUB) for path, _ in tree.walk())


def has_packages(tree: Tree) -> bool:
    """Tell whether any library is installed, also one that the doctor does not know."""
    return any(path.endswith(METADATA) for path, _ in tree.walk())


def rights_problems(nodes: Iterable[tuple[str, Node]], where: str) -> Iterator[Finding]:
    """Name files that only the user who built them may read."""
    first, count = "", 0
    for path, node in nodes:
        wanted = 0o555 if node.directory else 0o444
        if node.link is None and not node.special and node.mode & wanted != wanted:
            first, count = min(first or path, path), count + 1
    if count:
        yield Finding("not-readable", where, f"{first}, and {count - 1} more" if count > 1 else first)


def layer_problems(tree: Tree, where: str) -> Iterator[Finding]:
    """Name what is wrong with a zip as a layer or a function."""
    size = _size(tree)
    if size > LAYER_BYTES:
        yield Finding("over-250-mb", where, f"{size:,} bytes")
    if flat := next((name for name in tree.names("") if "\\" in name), None):
        detail = f"{flat} has backslashes in its name, which are no directories in Lambda: zip with another program"
        yield Finding("packages-not-under-python", where, detail)
    folders = {path.removesuffix(METADATA).rpartition("/")[0] for path, _ in tree.walk() if path.endswith(METADATA)}
    if not folders or any(map(SEARCHED.fullmatch, folders)):
        return
    alone = len(tree.names("")) == 1  # the directory itself was packed, and not what is in it
    if misplaced := sorted(folder for folder in folders if alone or folder.rpartition("/")[2].lower() in PACKAGES):
        yield Finding("packages-not-under-python", where, f"they are under {misplaced[0]}/")


def image_problems(tree: Tree, attested: bool, where: str) -> Iterator[Finding]:
    """Name what is wrong with an image as a whole."""
    size = _size(tree)
    if size > IMAGE_BYTES:
        yield Finding("over-10-gb", where, f"{size:,} bytes")
    if attested:
        yield Finding("image-with-attestations", where)
    if any(path.endswith(".so.12") and "/nvidia/" in f"/{path}" for path, _ in tree.walk()):
        yield Finding("cuda-in-the-image", where)


def library_problems(found: Libraries, where: str) -> Iterator[Finding]:
    """Name installed libraries whose versions fail offline, or do not go together."""
    for name, text in sorted(found.items()):
        try:
            version = Version(text if len(text) <= MAX_VERSION else "")
        except ValueError:
            yield Finding("unreadable", where, f"the version of {name} is {text}")
            continue
        if reason := BROKEN.get((name, version.public)):
            yield Finding("broken-library", where, f"{name} {text}: {reason}")
        least, reason = MIN_VERSION.get(name, ("0", ""))
        if version < Version(least):
            yield Finding("old-library", where, f"{name} {text}, and {least} is needed: {reason}")
    torch, vision = found.get("torch", ""), found.get("torchvision", "")
    if torch and vision and torch.endswith("+cpu") and not vision.endswith("+cpu"):
        yield Finding("torchvision-of-another-torch", where, f"torch {torch} with torchvision {vision}")


def _size(tree: Tree) -> int:
    return sum(node.size for _, node in tree.walk() if node.link is None and not node.directory)
