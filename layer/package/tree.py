"""Lay out files so that they are the same bytes on every machine: real files, modes for any user, one fixed time."""

import json
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from layer.package.digest import files
from layer.sources.hf_cache import open_to_all

MTIME = 315_532_800  # 1980-01-01, the earliest that a zip can hold; bytes that did not change must not look changed


def copy(source: Path, target: Path, without: Collection[str] = ()) -> None:
    """Copy a tree without compiled bytecode, links as the files that they lead to; `without` are names at its top."""
    for path in files(source):
        inside = path.relative_to(source)
        if inside.parts[0] in without:
            continue
        place = target / inside
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def normalize_metadata(root: Path) -> None:
    """Give a tree its modes and its time."""
    open_to_all(root)
    for path in (*root.rglob("*"), root):
        os.utime(path, (MTIME, MTIME))


def size(root: Path) -> int:
    """Return the bytes of all files below `root`, as Lambda counts them unzipped."""
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def write_json(place: Path, content: Mapping[str, Any]) -> Path:
    """Write a document as people can read it, and return its place."""
    place.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return place
