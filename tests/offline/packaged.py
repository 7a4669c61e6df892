"""An engine's runtime tree, of the packages installed here instead of wheels for Lambda, and trimmed alike."""

import os
import re
import shutil
from collections.abc import Collection, Sequence
from importlib.metadata import distribution
from pathlib import Path

from layer.naming import image_formats
from layer.package.runtime import REQUIREMENTS
from layer.package.shared_objects import shrink
from layer.package.trim import trim


def packaged(needed: Collection[str], tree: Path, formats: Sequence[str] = ()) -> Path:
    """Link what files of requirements name into `tree`, and take out what never runs; returns the tree.

    `needed` are these files, as `layer.package.wheels.needed` names them, `formats` are those of image_formats.
    """
    wanted = [*sorted(needed), *sorted(image_formats.requirements(formats))]
    for name in (name for one in wanted for name in _names(f"{one}.txt")):
        for file in distribution(name).files or []:
            source, target = Path(str(file.locate())), tree / str(file)
            if ".." in file.parts or "__pycache__" in file.parts or not source.is_file():
                continue  # scripts
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(source, target)
    trim(tree, formats)
    shrink(tree)
    return tree


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _names(file: str) -> list[str]:
    names = []
    for line in (REQUIREMENTS / file).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            names += _names(line.removeprefix("-r "))
        elif found := re.match(r"[\w.-]+", line):
            names.append(found[0])
    return names
