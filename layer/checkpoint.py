"""A checkpoint of the user's own, written as the repository that open_clip would keep it in on the hub."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer import plan
from layer.errors import CheckpointError, PlanError
from layer.fetch import Expected, Located, download_url
from layer.openclip import open_clip
from layer.plan import CONFIG_FILE, TOKENIZER_FILES, Need
from layer.progress import file_sha256
from layer.spec import ModelSpec

WEIGHTS = "open_clip_model.safetensors"
KINDS = (".safetensors", ".bin", ".pth", ".pt")
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
    digest = hashlib.sha256(file_sha256(weights).encode())
    for name, path in sorted(files.items()):
        digest.update(f"{name} {file_sha256(path)}".encode())
    digest.update(json.dumps(config, sort_keys=True).encode())
    revision = digest.hexdigest()[:40]
    folder = place / revision
    if not folder.exists():
        _write(folder, weights, config, files)
    tokenizer = {"tokenizer"} if set(files) & set(TOKENIZER_FILES) else set()
    roles = ("checkpoint", "weights", "config", *tokenizer, *({"text_config"} if "config.json" in files else ()))
    expected = {path.name: Expected(path.stat().st_size, file_sha256(path)) for path in sorted(folder.iterdir())}
    needs = plan.merge([need for need in plan.text_needs(config["model_cfg"]) if need.repo != repo])
    return Own(Located(Need(repo, roles), None, revision, None, folder, expected), tuple(needs))


def _weights(model: ModelSpec, place: Path) -> Path:
    given = str(model.checkpoint)
    if "://" in given:
        target = place / given.rpartition("/")[2]
        if not target.exists():
            download_url(given, target, plan.checksum(given))
        return target
    path = Path(given)
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.suffix in KINDS)
        chosen = [path / name for name in PREFERRED if path / name in found] or found
        if not chosen or (len(found) > 1 and chosen is found):
            names = ", ".join(one.name for one in found) or "none"
            raise CheckpointError(
                f"{path} has to have one checkpoint ({', '.join(KINDS)}), it has {names}: name the file"
            )
        return chosen[0]
    if not path.is_file():
        raise CheckpointError(f"{path}, the checkpoint of {model.id}, is not there: paths are relative to models.toml")
    return path


def _config(model: ModelSpec, weights: Path) -> tuple[dict[str, Any], Path]:
    """Return open_clip's config of the model, preprocessing included, and the directory to which its paths belong."""
    beside = weights.parent / CONFIG_FILE
    if model.config and not model.config.endswith(".json"):
        return _registry_config(model), weights.parent
    path = Path(model.config) if model.config else beside
    if not path.is_file():
        raise CheckpointError(
            f"{path} is not there: say what {model.id} was made from, as in "
            'config = "ViT-B-32/laion2b_s34b_b79k" (a pair of the registry), or name its open_clip_config.json'
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in ("model_cfg", "preprocess_cfg") if not isinstance(config[key], dict)]
    except (ValueError, KeyError, TypeError) as error:
        missing = [f"what is needed ({error!r})"]
    if missing:
        raise CheckpointError(
            f"{path} lacks {missing[0]}: it has to have model_cfg and preprocess_cfg, without which open_clip would "
            "silently embed pictures with the mean and the size of another model"
        )
    return config, path.parent


def _registry_config(model: ModelSpec) -> dict[str, Any]:
    name, _, tag = str(model.config).rpartition("/")
    pair = open_clip.get_pretrained_cfg(name, tag)
    try:
        plan.source_plan(ModelSpec(name, tag))
    except PlanError as error:
        raise CheckpointError(f"config = {model.config!r} of {model.id} is no pair of the registry: {error}") from error
    preprocess = {key: pair[key] for key in ("mean", "std", "interpolation", "resize_mode")}
    return {"model_cfg": open_clip.get_model_config(name), "preprocess_cfg": preprocess}


def _text_files(config: dict[str, Any], directory: Path, repo: str) -> Iterator[tuple[str, Path]]:
    """Yield the tokenizer and the text tower's config that lie here, and make the config point to this repository."""
    text = config["model_cfg"]["text_cfg"]
    for key, names in (("hf_tokenizer_name", TOKENIZER_FILES), ("hf_model_name", ("config.json",))):
        if not text.get(key):
            continue
        there = directory / text[key] if (directory / text[key]).is_dir() else directory
        found = {name: there / name for name in names if (there / name).is_file()}
        if found:
            text[key] = repo
            yield from found.items()


def _write(folder: Path, weights: Path, config: dict[str, Any], files: dict[str, Path]) -> None:
    aside = folder.with_name(f"{folder.name}.making")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name, path in files.items():
        shutil.copyfile(path, aside / name)
    (aside / CONFIG_FILE).write_text(json.dumps(config, indent=1), encoding="utf-8")
    if weights.suffix == ".safetensors":
        shutil.copyfile(weights, aside / WEIGHTS)
    else:
        _convert(weights, aside / WEIGHTS)
    aside.rename(folder)


def _convert(source: Path, target: Path) -> None:
    """Write a pickled or TorchScript checkpoint as safetensors, which runs nothing when it is loaded."""
    from safetensors.torch import save_file

    state = _state(source)
    tensors = {key.removeprefix("module."): value.contiguous().clone() for key, value in state.items()}
    save_file(tensors, target, metadata={"format": "pt"})


def _state(source: Path) -> dict[str, Any]:
    import torch

    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        if "TorchScript" not in str(error):
            raise CheckpointError(
                f"{source} cannot be loaded without running code in it ({str(error).strip().splitlines()[0]}): save "
                "model.state_dict() alone, by safetensors.torch.save_file"
            ) from error
        scripted = torch.jit.load(source, map_location="cpu").state_dict()
        return {
            key: scripted[key] for key in scripted if key not in ("input_resolution", "context_length", "vocab_size")
        }
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"{source} holds no state_dict: save model.state_dict() by safetensors.torch.save_file")
    return state
