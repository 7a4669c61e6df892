"""Check a model's name and tag against open_clip's registry, offline and without torch, and name the right one.

People write what they know: an address of the hub, a path, a name of OpenAI's or transformers'. The message gives it in
the form that models.toml takes.
"""

import functools
import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from console.suggest import did_you_mean, nearest
from layer.naming import addresses
from layer.naming.repositories import CHECKPOINTS, OF_TRANSFORMERS

# Made by `python -m layer.registry.parameter_count` of the pinned open_clip.
TABLE = Path(__file__).parents[1] / "registry" / "registry.json"
LISTS = "`python -m layer models --all` lists every pair"
_PATH = re.compile(r"(?:local-dir:|file:|/|\./|\.\./|~|[A-Za-z]:[\\/]|\\).*")
# transformers' repositories of OpenAI's weights, which hold no open_clip_config.json.
_OPENAI = {
    "clip-vit-base-patch32": "ViT-B-32-quickgelu",
    "clip-vit-base-patch16": "ViT-B-16-quickgelu",
    "clip-vit-large-patch14": "ViT-L-14-quickgelu",
    "clip-vit-large-patch14-336": "ViT-L-14-336-quickgelu",
}


def name_problem(name: str) -> str | None:
    """Say why this is not a name of a model, and what to write; None for a good one.

    A repository of the hub is not asked for. Of another open_clip than the table's, names that the table lacks pass.
    """
    if name.startswith("hf-hub:"):
        return _repository_problem(name)
    if other := _other_form(name):
        return other
    if not _is_of_installed() or name in _tags():
        return None
    org, slash, rest = name.partition("/")
    if slash and org in _tags():
        return f'is a name with its tag: write name = "{org}" and pretrained = "{rest}"'
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name) and nearest(name, _tags())[:1] != [_dashed(name)]:
        return _unprefixed(org, rest)
    if tagged := sorted(model for model, tags in _tags().items() if name in tags):
        return f'is a tag, not a model: write pretrained = "{name}" with name = "{tagged[0]}", or another that has it'
    return f"is not a model of open_clip {_table()['open_clip']}{did_you_mean(name, _tags())} ({LISTS})"


def tag_problem(name: str, tag: str) -> str | None:
    """Say why `tag` is none of the model's, and what to write; None for a good one, `name` being good."""
    known = _tags().get(name)
    if known is None or tag.lower().replace("-", "_") in known:  # as open_clip itself reads tags
        return None
    if _PATH.fullmatch(tag) or tag.endswith(CHECKPOINTS) or "://" in tag:
        return (
            f"is a file: for weights of your own write checkpoint = {json.dumps(tag)} in place of pretrained, "
            f'config = "{name}/{_plain_tag(name) or "<tag>"}", and name = "<you>/<name>"'
        )
    if not _is_of_installed():
        return None
    if not known:
        return f"is not a tag of {name}, for which no weights are published: take another model ({LISTS})"
    others = [model for model, tags in _tags().items() if tag in tags]
    hint = did_you_mean(tag, known)
    if not hint and others:
        hint = f", but of {' and '.join(nearest(name, others) or others[:2])}."
    return f"is not a tag of {name}{hint or '.'} Its tags are {', '.join(known)}"


def config_pair(config: object) -> str:
    """Return `<name>/<tag>` of the pair whose weights an address of the hub leads to, and any other text as it is.

    Raises ValueError where the address leads to no pair's weights.
    """
    text = str(config)
    found = None if text.endswith(".json") else addresses.understood(text)
    if not found:
        return text
    repository = found[0].removeprefix("hf-hub:")
    pairs = [row for row in _table()["pairs"] if row["weights"] == repository]
    if not pairs:
        raise ValueError(f"{repository} has no pair's weights: download its open_clip_config.json, and name that file")
    row = next((row for row in pairs if not row["advice"]), pairs[0])
    return f"{row['name']}/{row['pretrained']}"


def _plain_tag(name: str) -> str | None:
    """Return a tag of a model to begin with: one whose weights are computed as they were trained, if it has any."""
    rows = [row for row in _table()["pairs"] if row["name"] == name]
    row = next((row for row in rows if not row["advice"]), rows[0] if rows else None)
    return str(row["pretrained"]) if row else None


def tags_of(name: str) -> list[str]:
    """Return the tags of a model, none for one that is not in the table."""
    return _tags().get(name, [])


def text_repositories(pair: str) -> list[str]:
    """Return the repositories of the text side of `<name>/<tag>`, none for a model that is not in the table."""
    name = pair.rpartition("/")[0]  # which alone decides
    return next((list(row["text"]) for row in _table()["pairs"] if row["name"] == name), [])


def _repository_problem(name: str) -> str | None:
    repository = name.removeprefix("hf-hub:")
    if own := OF_TRANSFORMERS.get(repository):
        return f"has transformers' form of these weights, open_clip's is another: write name = \"hf-hub:{own}\""
    if found := addresses.understood(name):
        entry = f'name = "{found[0]}"'
        if found[1]:
            return f'has a revision in it: write {entry} and revision = "{found[1]}"'
        return None if name == found[0] else f"is not how a repository is named: write {entry}"
    if repository in _tags():
        return f'is a name of open_clip\'s registry: write name = "{repository}" and its pretrained'
    return "is not a repository: write hf-hub:<org>/<name>"


def _other_form(name: str) -> str | None:
    if found := addresses.understood(name):
        revision = f' and revision = "{found[1]}"' if found[1] else ""
        return f'is a repository of the hub: write name = "{found[0]}"{revision}'
    if addresses.is_of_hub(name):
        return "is an address of the hub, but no model's: open the model's page there, and copy its address"
    if _PATH.fullmatch(name) or name.endswith(CHECKPOINTS) or "://" in name:
        path = re.sub(r"^(local-dir:|file:(//)?)", "", name)
        return (
            f"is a place: for a model of your own write checkpoint = {json.dumps(path)}, with a name as "
            '"<you>/<name>" (docs/models.md), and for a repository of the hub name = "hf-hub:<org>/<name>"'
        )
    return None


def _unprefixed(org: str, rest: str) -> str:
    if org == "openai" and rest in _OPENAI:
        return (
            f'is transformers\' form of these weights: write name = "{_OPENAI[rest]}" and pretrained = "openai" '
            "(hf-hub: takes repositories with an open_clip_config.json)"
        )
    if own := OF_TRANSFORMERS.get(f"{org}/{rest}"):
        return f"is transformers' form of these weights, open_clip's is another: write name = \"hf-hub:{own}\""
    return f'is not a model of open_clip\'s registry: for a repository of the hub write name = "hf-hub:{org}/{rest}"'


def _dashed(name: str) -> str:
    """Return the registry's form of a name as OpenAI writes it: ViT-B/32."""
    return name.replace("/", "-")


@functools.cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


@functools.cache
def _tags() -> dict[str, list[str]]:
    tags: dict[str, list[str]] = {name: [] for name in _table()["models"]}
    for row in _table()["pairs"]:
        tags[row["name"]].append(row["pretrained"])
    return tags


@functools.cache
def _is_of_installed() -> bool:
    """Tell whether the table is the installed open_clip's; where none is installed, it is what will be."""
    try:
        return metadata.version("open_clip_torch") == str(_table()["open_clip"])
    except metadata.PackageNotFoundError:
        return True
