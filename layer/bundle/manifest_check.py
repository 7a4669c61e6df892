"""That a manifest.json says nothing that would lead out of its bundle, or into a Dockerfile, once it is used."""

import re
from collections.abc import Mapping
from typing import Any

from layer.naming import checked
from layer.spec import CHOICES

_PYTHON = re.compile(r"3\.[0-9]{1,2}")


def check(manifest: Mapping[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError at the first value that becomes a path, a URL or a command, and cannot.

    A bundle may come from anywhere: `verify`, `inspect` and `package` read its manifest before its hashes are known.
    """
    target = manifest["target"]
    if not _PYTHON.fullmatch(str(target["python"])):
        raise ValueError(f"python = {checked.shown(target['python'])} is no version of Python")
    for key in ("architecture", "package"):
        _one_of(key, target[key], CHOICES[key])
    if not isinstance(manifest["models"], list) or not isinstance(manifest["files"], list):
        raise ValueError("models and files have to be lists")
    for model in manifest["models"]:
        checked.file_name(model["slug"])
        _printable(model["id"])
        _one_of("engine", model["engine"], CHOICES["engine"])
        for source in model["sources"]:
            checked.repository(source["repo"])
            checked.commit(source["revision"])
            _printable(source["license"] or "")
    for file in manifest["files"]:
        checked.relative_path(file["path"])
        checked.sha256(file["sha256"])
        if type(file["size"]) is not int or file["size"] < 0:
            raise ValueError(f"{checked.shown(file['size'])} is no size")


def _printable(value: object) -> None:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{checked.shown(value)} cannot be printed")


def _one_of(key: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{key} = {checked.shown(value)}: one of {', '.join(known)}")
