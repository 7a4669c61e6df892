"""A checkpoint of the user's own, written as the repository that open_clip would keep it in on the hub."""

import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer.errors import CheckpointError
from layer.naming import validate
from layer.progress import file_sha256
from layer.sources import own_config, own_state, resolve
from layer.sources.expected import Expected
from layer.sources.fetch import Located, download_url
from layer.sources.own_files import is_address
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


def repository(model: ModelSpec, cache: Path, roles: Sequence[str] = resolve.ROLES) -> Own:
    """Write the model's checkpoint, config and tokenizer into `cache`, or find them there.

    Without "weights" among the `roles`, only configs are written, and nothing is downloaded. Raises CheckpointError,
    for a config before its checkpoint is downloaded.
    """
    place, repo = own_state.place(model, cache), model.name.removeprefix("hf-hub:")
    before = own_state.state(model)
    weights = _chosen(model, place)
    config, directory = own_config.config_of(model, weights)
    files = dict(own_config.text_files(config, directory, repo))
    needs = resolve.merge([need for need in resolve.text_needs(config["model_cfg"]) if need.repo != repo])
    if "weights" not in roles:
        return Own(_configs(model, place, weights, config, files), tuple(needs))
    located = _complete(model, place, weights, config, files)
    own_state.record(model, cache, before, located.revision)
    return Own(located, tuple(needs))


def _complete(
    model: ModelSpec, place: Path, weights: Path, config: dict[str, Any], files: Mapping[str, Path]
) -> Located:
    if is_address(str(model.checkpoint)) and not weights.exists():
        download_url(str(model.checkpoint), weights, resolve.checksum(str(model.checkpoint)))
    digest = hashlib.sha256(f"{FORM} {file_sha256(weights)}".encode())
    for name, path in sorted(files.items()):
        digest.update(f"{name} {file_sha256(path)}".encode())
    digest.update(json.dumps(config, sort_keys=True).encode())
    folder = place / digest.hexdigest()[:40]
    if not folder.exists():
        _write(folder, weights, config, files)
    _remove_older(folder)
    tokenizer = {"tokenizer"} if set(files) & set(TOKENIZER_FILES) else set()
    roles = ("checkpoint", "weights", "config", *tokenizer, *({"text_config"} if "config.json" in files else ()))
    return _located(model, roles, folder)


def _configs(
    model: ModelSpec, place: Path, weights: Path, config: dict[str, Any], files: Mapping[str, Path]
) -> Located:
    """Write the configs alone: a build may be working with the complete repository, which is not touched.

    No lock is held here. So the folder is named by what is in it, and each file appears whole: another process may be
    reading it, or writing the same.
    """
    texts = {CONFIG_FILE: json.dumps(config).encode()}
    if "config.json" in files:
        texts["config.json"] = files["config.json"].read_bytes()
    digest = hashlib.sha256(b"".join(b"%s %d %s" % (name.encode(), len(text), text) for name, text in texts.items()))
    folder = place / "config" / digest.hexdigest()[:40]
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        aside = folder.with_name(f".{name}.{secrets.token_hex(8)}")
        try:
            aside.write_bytes(text)
            aside.replace(folder / name)
        finally:
            aside.unlink(missing_ok=True)
    return _located(model, ("checkpoint", "config", *({"text_config"} if "config.json" in files else ())), folder)


def _located(model: ModelSpec, roles: tuple[str, ...], folder: Path) -> Located:
    need = Need(model.name.removeprefix("hf-hub:"), roles)
    expected = {path.name: Expected(path.stat().st_size, file_sha256(path)) for path in sorted(folder.iterdir())}
    return Located(need, None, folder.name, None, folder, expected)


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
            download_url(given, _of_address(given, own_state.place(model, cache)), "")


def refuse_missing(model: ModelSpec) -> None:
    """Raise CheckpointError if the model's checkpoint is a path, and there is no file or directory."""
    path = Path(str(model.checkpoint))
    if model.checkpoint and not is_address(model.checkpoint) and not (path.is_file() or path.is_dir()):
        raise CheckpointError(
            f"{path}, the checkpoint of {model.id}, is not there: correct `checkpoint`, whose path is relative to "
            "models.toml"
        )


def _chosen(model: ModelSpec, place: Path) -> Path:
    """Return the file of the weights; one of an address need not be there yet."""
    given = str(model.checkpoint)
    if is_address(given):
        return _of_address(given, place)
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


def _write(folder: Path, weights: Path, config: dict[str, Any], files: Mapping[str, Path]) -> None:
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
