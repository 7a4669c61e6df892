"""Look up models in this repository's table of open_clip's registry: neither open_clip nor torch is imported."""

import json
from functools import cache
from typing import Any

from layer.registry.table import TABLE


@cache
def repositories() -> dict[str, dict[str, list[str]]]:
    """Map a folder of weights to what it is ("weights", "tokenizer") and which text repositories go with it."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in _table()["pairs"]:
        if row["weights"]:
            tokenizer = {"tokenizer": row["text"]} if row["weights"] in row["text"] else {}
            found[folder(row["weights"])] = {"weights": [row["weights"]], "text": row["text"], **tokenizer}
    return found


@cache
def models() -> frozenset[str]:
    """Return the names of the models that open_clip has configs of."""
    return frozenset(_table()["models"])


def folder(repository: str) -> str:
    """Return the name of a repository's directory in a cache."""
    return f"models--{repository.replace('/', '--')}"


def repository(name: str) -> str:
    """Return the id of the repository that a directory of a cache holds."""
    return name.removeprefix("models--").replace("--", "/", 1)


def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table
