"""A checkpoint of the user's own, written as the repository that open_clip would keep it in on the hub."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer.config.check import check_config
from layer.errors import CheckpointError, PlanError
from layer.files.foreign import read_json
from layer.naming import validate
from layer.naming.repositories import no_repository
from layer.progress import file_sha256
from layer.sources import own_files, resolve
from layer.sources.expected import Expected
from layer.sources.fetch import Located, download_url
from layer.sources.own_files import is_address
from layer.sources.prepared import damage
from layer.sources.resolve import CONFIG_FILE, TOKENIZER_FILES, Need
from layer.spec import ModelSpec
from layer.weights.checkpoint import SUFFIXES, open_tensors
from layer.weights.tensor import Tensor

WEIGHTS = "open_clip_model.safetensors"
FORM = 2  # of what is written here: another number where the same checkpoint is written in another way
_CUSTOM = ("text.token_embedding.", "text.transformer.resblocks.")
_WRAPPERS = ("module", "model", "clip")  # of DistributedDataParallel, Lightning and the like
# open_clip's own order where a directory has several (factory._find_checkpoint_in_dir).
PREFERRED = (WEIGHTS, "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors")


@dataclass(frozen=True)
class Own:
    """The repository that was written, and what it still needs from the hub."""

    located: Located
    needs: tuple[Need, ...]


def repository(model: ModelSpec, cache: Path) -> Own:
    """Write the model's checkpoint, config and tokenizer into `cache`, or find them there. Raises CheckpointError."""
    place = cache / "local" / model.slug
    weights = _weights(model, place)
    config, directory = _config(model, weights)
    repo = model.name.removeprefix("hf-hub:")
    files = dict(_text_files(config, directory, repo))
    digest = hashlib.sha256(f"{FORM} {file_sha256(weights)}".encode())
    for name, path in sorted(files.items()):
        digest.update(f"{name} {file_sha256(path)}".encode())
    digest.update(json.dumps(config, sort_keys=True).encode())
    revision = digest.hexdigest()[:40]
    folder = place / revision
    if not folder.exists():
        _write(folder, weights, config, files)
    _remove_older(folder)
    tokenizer = {"tokenizer"} if set(files) & set(TOKENIZER_FILES) else set()
    roles = ("checkpoint", "weights", "config", *tokenizer, *({"text_config"} if "config.json" in files else ()))
    expected = {path.name: Expected(path.stat().st_size, file_sha256(path)) for path in sorted(folder.iterdir())}
    needs = resolve.merge([need for need in resolve.text_needs(config["model_cfg"]) if need.repo != repo])
    return Own(Located(Need(repo, roles), None, revision, None, folder, expected), tuple(needs))


def fetch_again(models: Sequence[ModelSpec], cache: Path) -> None:
    """Fetch checkpoints of an address anew, for `--update`: what the address leads to may have changed.

    What was fetched before stays until the new file is whole. An address that carries a hash leads to one file for
    good. Raises FetchError, and CheckpointError for a path that leads nowhere, before anything is fetched.
    """
    for model in models:
        refuse_missing(model)
    for model in models:
        given = str(model.checkpoint)
        if is_address(given) and not resolve.checksum(given):
            download_url(given, _of_address(given, cache / "local" / model.slug), "")


def refuse_missing(model: ModelSpec) -> None:
    """Raise CheckpointError if the model's checkpoint is a path, and there is no file or directory."""
    path = Path(str(model.checkpoint))
    if model.checkpoint and not is_address(model.checkpoint) and not (path.is_file() or path.is_dir()):
        raise CheckpointError(f"{path}, the checkpoint of {model.id}, is not there: paths are relative to models.toml")


def _weights(model: ModelSpec, place: Path) -> Path:
    given = str(model.checkpoint)
    if is_address(given):
        target = _of_address(given, place)
        if not target.exists():
            download_url(given, target, resolve.checksum(given))
        return target
    refuse_missing(model)
    path = Path(given)
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES)
        chosen = [path / name for name in PREFERRED if path / name in found] or found
        if not chosen or (len(found) > 1 and chosen is found):
            names = ", ".join(one.name for one in found) or "none"
            raise CheckpointError(
                f"{path} has to have one checkpoint ({', '.join(SUFFIXES)}), it has {names}: name the file"
            )
        return chosen[0]
    return path


def _of_address(address: str, place: Path) -> Path:
    """Return where a fetched checkpoint lies: by the whole address, as files of two addresses may have one name."""
    return place / hashlib.sha256(address.encode()).hexdigest()[:16] / validate.url_file(address)


def _config(model: ModelSpec, weights: Path) -> tuple[dict[str, Any], Path]:
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


def _text_files(config: dict[str, Any], directory: Path, repo: str) -> Iterator[tuple[str, Path]]:
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


def _write(folder: Path, weights: Path, config: dict[str, Any], files: dict[str, Path]) -> None:
    aside = _unfinished(folder)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name, path in files.items():
        shutil.copyfile(path, aside / name)
    tensors = _state(weights)
    model = config["model_cfg"]
    if any(key.startswith(_CUSTOM) for key in tensors) and not model["text_cfg"].get("hf_model_name"):
        model["custom_text"] = True  # trained with --force-custom-text: the same tower under other names
    (aside / CONFIG_FILE).write_text(json.dumps(config, indent=1), encoding="utf-8")
    if weights.suffix == ".safetensors" and tensors.keys() == open_tensors(weights).keys():
        shutil.copyfile(weights, aside / WEIGHTS)
    else:
        _convert(tensors, aside / WEIGHTS)
    aside.rename(folder)


def _unfinished(folder: Path) -> Path:
    """Return the name that a folder has while it is written, or removed."""
    return folder.with_name(f"{folder.name}.making")


def _remove_older(folder: Path) -> None:
    """Remove the files that were made of earlier versions of a checkpoint: each is as large as the model."""
    for other in [*folder.parent.iterdir()]:
        if validate.is_commit(other.name) and other != folder:
            shutil.rmtree(_unfinished(other), ignore_errors=True)
            with suppress(OSError):
                other.rename(_unfinished(other))  # or a removal that is interrupted would leave a part under its name
    for left in folder.parent.glob("*.making"):
        shutil.rmtree(left, ignore_errors=True)


def _state(source: Path) -> dict[str, Tensor]:
    """Open a checkpoint, and remove the prefixes that training adds to the names of tensors."""
    tensors = open_tensors(source)
    named = {key: ".".join(part for part in key.split(".") if part != "_orig_mod") for key in tensors}
    while all(name.split(".")[0] in _WRAPPERS and "." in name for name in named.values()):
        named = {key: name.partition(".")[2] for key, name in named.items()}
    if len(set(named.values())) < len(named):
        raise CheckpointError(f"{source} has one tensor under two names: save model.state_dict() alone")
    return {name: tensors[key] for key, name in named.items()}


def _convert(tensors: Mapping[str, Tensor], target: Path) -> None:
    """Write tensors as safetensors, which runs nothing when it is loaded."""
    from safetensors.torch import save_file

    save_file({name: tensor.read() for name, tensor in tensors.items()}, target, metadata={"format": "pt"})
