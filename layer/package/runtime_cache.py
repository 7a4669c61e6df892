"""Keep the installed runtime tree, and use it again if its inputs have not changed: then packaging takes seconds."""

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from layer.package import pip, runtime, shared_objects, tree, trim, wheels
from layer.package.install_cache import installing, is_complete
from layer.spec import Target


def copy_into(
    place: Path, engines: Iterable[str], target: Target, index: str | None, cache: Path
) -> list[dict[str, Any]]:
    """Put the engines' runtime tree at `place`, and return the wheels that it was installed from: see `cached`."""
    there = cached(engines, target, index, cache)
    tree.copy(there / "tree", place)
    installed: list[dict[str, Any]] = json.loads((there / "wheels.json").read_text(encoding="utf-8"))
    return installed


def cached(engines: Iterable[str], target: Target, index: str | None, cache: Path) -> Path:
    """Return the directory of `cache` with the engines' runtime; install it if it is missing or not complete.

    It has `tree`, its `sha256`, `wheels.json` (the installed wheels) and `trimmed.json` (how many files each rule of
    trim.toml removed). `index` is the index of torch's CPU builds. Raises PackageError as the installation does.
    """
    names = sorted(engines)
    stem = "-".join((*sorted({*names, *(target.image_formats or ())}), target.python, target.architecture))
    place = cache / "runtime" / f"{stem}-{_key(names, target, index)}"
    if not (is_complete(place, "tree") and (place / "wheels.json").exists()):
        print(f"installing the runtime of {stem} ...", file=sys.stderr)
        with installing(place, "tree", stem) as made:
            installed = runtime.install(names, target, made / "tree", index)
            (made / "trimmed.json").write_text(json.dumps(installed.trimmed, indent=1), encoding="utf-8")
            (made / "wheels.json").write_text(json.dumps(installed.wheels, indent=1), encoding="utf-8")
    return place


def _key(engines: list[str], target: Target, index: str | None) -> str:
    """Return the digest of the tree's inputs: wheels, trimming rules, torch's index, and the code that installs."""
    known = engines, target.image_formats or (), wheels.recorded(engines, target), index
    digest = hashlib.sha256(repr(known).encode())
    for path in (trim.RULES, *(Path(str(module.__file__)) for module in (trim, shared_objects, runtime, pip))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
