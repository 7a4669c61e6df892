"""Compare a checkpoint's tensors with the model of its config, before open_clip loads it.

Without a warning, open_clip interpolates positional embeddings of another length, fills in a missing logit bias, and
casts integers: the vectors are then not the model's. So its own loading runs here on tensors without values, with every
such change forbidden. The error names the field of the config that is wrong.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from layer.config.check import ignored
from layer.config.text_files import check_files
from layer.errors import CheckpointError
from layer.files.foreign import read_json
from layer.findings.printable import printable
from layer.openclip import open_clip
from layer.registry import meta_model
from layer.sources import resolve
from layer.spec import ModelSpec
from layer.tensor_shapes.explain import Shapes, explain
from layer.weights.checkpoint import SUFFIXES, open_tensors
from layer.weights.tensor import Tensor

if TYPE_CHECKING:
    from layer.sources.fetch import Fetched


class _ResizedError(Exception):
    """open_clip would change the values of a tensor."""


def refuse_unfit(model: ModelSpec, sources: "list[Fetched]") -> None:
    """Raise CheckpointError if a model's weights do not belong to its config, naming the field and the value to set."""
    for source in sources:
        check_files(source.repo, source.folder, source.files)
    weights = next(source for source in sources if {"weights", "checkpoint"} & set(source.roles))
    file = weights.folder / next(name for name in weights.files if name.endswith(SUFFIXES))
    has_config = resolve.CONFIG_FILE in weights.files
    config = resolve.model_config(model, weights.folder / resolve.CONFIG_FILE if has_config else None)
    if has_config and (keys := ignored(weights.folder / resolve.CONFIG_FILE)):
        print(
            f"note: open_clip ignores {printable(', '.join(keys))} in {resolve.CONFIG_FILE} of {model.id}",
            file=sys.stderr,
        )
    tensors = open_tensors(file)
    if file.suffix != ".safetensors":
        _refuse_script(file)
    towers, where = _towers(config, sources), _where_to_correct(model, weights)
    try:
        problem = difference(config, tensors, towers)
    except CheckpointError as error:
        raise CheckpointError(f"{model.id}: {error}{where}") from error
    if problem:
        raise CheckpointError(f"{model.id}: its checkpoint does not fit its config: {problem}{where}")


def difference(config: dict[str, Any], tensors: Mapping[str, Tensor], towers: dict[str, Any]) -> str | None:
    """Say how tensors differ from the model of a config (open_clip's `model_cfg`); None if they do not.

    `towers` are transformers' configs of text towers, by repository. Raises CheckpointError if open_clip cannot create
    such a model.
    """
    with meta_model.uncompiled(config):
        return _difference(config, tensors, towers)


def _difference(config: dict[str, Any], tensors: Mapping[str, Tensor], towers: dict[str, Any]) -> str | None:
    import torch

    model = meta_model.create(config, towers)
    wanted: Shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    if problem := _logit_bias_problem(tensors, model):
        return problem
    given = {key: torch.empty(one.shape, dtype=_torch_dtype(one.dtype), device="meta") for key, one in tensors.items()}
    try:
        loaded = _loaded_by_open_clip(model, given)
    except Exception:  # noqa: BLE001 - a resize, or a conversion that lacks keys: the shapes show it
        loaded = given
    found: Shapes = {key: tuple(value.shape) for key, value in loaded.items()}
    if problem := explain(config, wanted, found):
        return problem
    return _integer_problem(model, loaded)


def _loaded_by_open_clip(model: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Run open_clip's load_checkpoint on tensors without values, and return what would be loaded."""
    taken: dict[str, Any] = {}
    with (
        _resizing_forbidden(),
        patch("open_clip.factory.load_state_dict", lambda *_, **__: dict(state)),
        patch.object(model, "load_state_dict", lambda found, **_: taken.update(found)),
    ):
        open_clip.factory.load_checkpoint(model, "checkpoint.safetensors")
    return taken


@contextmanager
def _resizing_forbidden() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise _ResizedError

    with ExitStack() as stack:
        for name in ("open_clip.factory.resize_pos_embed", "open_clip.factory.resize_text_pos_embed"):
            stack.enter_context(patch(name, lambda *_, **__: None))
        stack.enter_context(patch("torch.nn.functional.interpolate", refuse))
        yield


def _logit_bias_problem(tensors: Mapping[str, Tensor], model: Any) -> str | None:
    """Say whether a logit bias is missing or too much: open_clip would fail, or fill it in without a warning."""
    if "logit_bias" in tensors and model.logit_bias is None:
        return "it has a logit_bias, which SigLIP's have: set model_cfg.init_logit_bias to -10"
    if "logit_bias" not in tensors and model.logit_bias is not None and "logit_scale" in tensors:
        return "it has no logit_bias, for which open_clip would take 0: remove model_cfg.init_logit_bias"
    return None


def _integer_problem(model: Any, loaded: Mapping[str, Any]) -> str | None:
    """Say which integers would become float parameters: those of a quantized checkpoint, without its scales."""
    for key, wanted in model.state_dict().items():
        if wanted.is_floating_point() and not loaded[key].is_floating_point():
            return (
                f"{key} holds {str(loaded[key].dtype).removeprefix('torch.')}, not floats: save it before quantization"
            )
    return None


def _torch_dtype(name: str) -> Any:
    import torch

    found = getattr(torch, name, None)
    return found if isinstance(found, torch.dtype) else torch.uint8


def _towers(config: Mapping[str, Any], sources: "list[Fetched]") -> dict[str, Any]:
    name = config["text_cfg"].get("hf_model_name")
    if not name:
        return {}
    source = next(source for source in sources if source.repo == name and "text_config" in source.roles)
    tower = read_json(source.folder / "config.json", CheckpointError)
    from transformers import CONFIG_MAPPING

    kind = tower.get("model_type")
    if kind not in CONFIG_MAPPING:
        own = " It names code of its own (auto_map), which is never run." if "auto_map" in tower else ""
        raise CheckpointError(
            f"config.json of {name} has model_type {json.dumps(kind)[:80]}, unknown to this transformers.{own} "
            "Name another text tower in text_cfg.hf_model_name"
        )

    known = open_clip.hf_configs.arch_dict
    if kind not in known:
        raise CheckpointError(
            f"config.json of {name} has model_type {kind}, and open_clip {open_clip.__version__} has text towers of "
            f"{', '.join(sorted(known))} alone. Name one of these kinds in text_cfg.hf_model_name, or build with a "
            "newer open_clip"
        )
    return {name: tower}


def _refuse_script(file: Path) -> None:
    """Raise CheckpointError for a TorchScript archive: torch.load would run the code in it."""
    from layer.weights.torch_file import is_script

    if is_script(file):
        raise CheckpointError(
            f"{file.name} is a TorchScript archive, which runs code where open_clip loads it: download it and name the "
            "file as `checkpoint`, from which its tensors alone are taken"
        )


def _where_to_correct(model: ModelSpec, weights: "Fetched") -> str:
    if model.config and not model.config.endswith(".json"):
        place = weights.folder / resolve.CONFIG_FILE
        return f". The config is that of {model.config}: copy {place} to your checkpoint, correct it, name it as config"
    if model.checkpoint:
        return ""
    return ". Correct it in the repository, or in a copy of it that is named as `checkpoint`"
