"""Read the config of a model of the user's own, and the text files beside it, without reading the weights."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from layer.config.check import check_config
from layer.errors import CheckpointError, PlanError
from layer.files.foreign import read_json
from layer.naming.repositories import no_repository
from layer.sources import own_files, resolve
from layer.sources.prepared import damage
from layer.spec import ModelSpec


def config_of(model: ModelSpec, weights: Path) -> tuple[dict[str, Any], Path]:
    """Return open_clip's config of the model, preprocessing included, and the directory to which its paths belong."""
    if model.config and not model.config.endswith(".json"):
        return _registry_config(model), weights.parent
    path = own_files.config_file(model, weights.parent)
    if not path.is_file():
        raise CheckpointError(
            f"{path} is not there: say what {model.id} was made from, as in "
            'config = "ViT-B-32/laion2b_s34b_b79k" (a pair of the registry), or name its open_clip_config.json'
        )
    config = read_json(path, CheckpointError, rewritten=True)
    missing = [key for key in ("model_cfg", "preprocess_cfg") if not isinstance(config, dict) or key not in config]
    if missing:
        raise CheckpointError(
            f"{path} lacks {missing[0]}: it has to have model_cfg and preprocess_cfg, without which open_clip would "
            "silently embed images with the mean and the size of another model"
        )
    check_config(config, str(path), CheckpointError, local=True)
    return config, path.parent


def _registry_config(model: ModelSpec) -> dict[str, Any]:
    from layer.openclip import open_clip  # late: it takes seconds

    name, _, tag = str(model.config).rpartition("/")
    pair = open_clip.get_pretrained_cfg(name, tag)
    try:
        resolve.source_plan(ModelSpec(name, tag))
    except PlanError as error:
        raise CheckpointError(
            f"config = {model.config!r} of {model.id} is not a pair of the registry: {error}"
        ) from error
    preprocess = {key: pair[key] for key in ("mean", "std", "interpolation", "resize_mode")}
    return {"model_cfg": open_clip.get_model_config(name), "preprocess_cfg": preprocess}


def text_files(config: dict[str, Any], directory: Path, repo: str) -> Iterator[tuple[str, Path]]:
    """Yield the tokenizer and the text tower's config that lie here, and make the config point to this repository."""
    text = config["model_cfg"]["text_cfg"]
    for key, names in own_files.TEXT_KEYS.items():
        name = text.get(key)
        if not name:
            continue
        there = own_files.place(directory, name)
        found = {file: there / file for file in names if os.path.lexists(there / file)}
        _refuse_damaged(found, key, there)
        if found:
            text[key] = repo
            yield from found.items()
        elif why := no_repository(name):
            raise CheckpointError(
                f"text_cfg.{key} = {name!r} {why}. There is none of {', '.join(names[:3])} in {there} either"
            )


def _refuse_damaged(found: Mapping[str, Path], key: str, there: Path) -> None:
    """Raise CheckpointError for incomplete files or tokenizers: the errors of libraries would be misleading."""
    for path in found.values():
        if problem := damage.broken(path):
            raise CheckpointError(f"{problem.where}: {problem.what}; {problem.fix}")
        if reason := damage.unreadable(path):
            raise CheckpointError(f"{path}: {reason}: copy it again, whole")
    if key == "hf_tokenizer_name" and found and not resolve.satisfies("tokenizer", tuple(found)):
        raise CheckpointError(
            f"{there} has {', '.join(found)} of a tokenizer, and no vocabulary (tokenizer.json, vocab.txt, "
            "spiece.model, ...; vocab.json with merges.txt): copy all of its files there, or none, and it is taken "
            "from the repository that text_cfg.hf_tokenizer_name names"
        )
