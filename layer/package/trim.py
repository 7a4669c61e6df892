"""Remove from a runtime tree what never runs in Lambda, by the patterns of trim.toml, each with its reason."""

import shutil
import tomllib
from collections.abc import Collection
from pathlib import Path

RULES = Path(__file__).with_name("trim.toml")


def trim(tree: Path, image_formats: Collection[str] = ()) -> dict[str, int]:
    """Delete the files that the rules match; returns how many files each rule removed.

    A rule that matches nothing belongs to another engine's packages.
    """
    found = rules(image_formats, {path.name for path in tree.iterdir()})
    return {pattern: sum(_delete(path) for path in sorted(tree.glob(pattern))) for pattern in found}


def rules(image_formats: Collection[str] = (), packages: Collection[str] = ()) -> dict[str, str]:
    """Return each pattern (of pathlib, relative to the tree) with the reason why what it matches never runs.

    Patterns for decoders of `image_formats`, and for files that one of `packages` imports (`needed_by`), are left out.
    """
    listed = tomllib.loads(RULES.read_text(encoding="utf-8"))["rule"]
    return {
        rule["path"]: rule["reason"]
        for rule in listed
        if rule.get("unless") not in image_formats and not set(rule.get("needed_by", ())) & set(packages)
    }


def _delete(path: Path) -> int:
    """Delete a file or a directory, and return how many files are gone."""
    if not path.exists():  # a directory before it held it
        return 0
    if path.is_dir():
        count = sum(1 for below in path.rglob("*") if below.is_file())
        shutil.rmtree(path)
        return count
    path.unlink()
    return 1
