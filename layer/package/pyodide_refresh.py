"""Record again which Pyodide compiles for each Python: the version that its package.json names, with npm's hashes."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from layer.errors import PackageError
from layer.package import pyodide

FILES = ("package.json", "package-lock.json")
# Without addresses in the lock file, a machine takes the packages from the registry that it is set up with.
LOCK_ALONE = ("package-lock-only", "omit-lockfile-registry-resolved")


def refresh(pythons: Iterable[str], pins: Path = pyodide.PINS) -> Iterator[str]:
    """Have npm write each lock file anew, and compile with what it pins; yields a line for each.

    Raises PackageError where npm cannot, or where that Pyodide is another Python; the files then stay as they were.
    """
    for python in pythons:
        place = pins / python
        if not place.is_dir():
            yield f"Pyodide for Python {python}: none is recorded"
            continue
        before = (place / "package-lock.json").read_bytes()
        with tempfile.TemporaryDirectory(prefix="openclip-pins-") as scratch:
            made = Path(scratch) / "pins"
            shutil.copytree(place, made)
            try:
                _record(python, made)
            except pyodide.UnavailableError as error:
                raise PackageError(f"{place}: Pyodide is not recorded again: {error}") from error
            for name in FILES:
                aside = place / f".{name}.new"
                shutil.copyfile(made / name, aside)
                aside.replace(place / name)
        version = json.loads((place / "package.json").read_text(encoding="utf-8"))["dependencies"]["pyodide"]
        same = " (as before)" if (place / "package-lock.json").read_bytes() == before else ""
        yield f"Pyodide for Python {python}: {version}{same}"


def _record(python: str, folder: Path) -> None:
    """Write the lock file in `folder`, and try what it pins. Raises pyodide.UnavailableError."""
    node, npm = pyodide.programs()
    pyodide.install(npm, folder, "install", *LOCK_ALONE)
    pyodide.install(npm, folder)  # npm compares the hashes of what was locked before
    tree = folder / "tried"
    tree.mkdir()
    (tree / "one.py").touch()
    pyodide.run(node, folder.resolve() / "node_modules" / "pyodide", python, {tree: "/opt/python"})
