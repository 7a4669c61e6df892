"""A checkpoint that is not of its config is refused before it is loaded, with the field and the value that fits."""

import copy
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from layer.errors import CheckpointError
from layer.openclip import open_clip
from layer.registry import meta_model, parameter_count, table
from layer.sources import local_checkpoint, resolve
from layer.sources.fetch import Fetched
from layer.spec import ModelSpec
from layer.tensor_shapes.compare import difference, refuse_unfit
from layer.weights.tensor import Tensor
from tests.hub import repositories

CLIP: dict[str, Any] = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 1000, "width": 64, "heads": 2, "layers": 2},
}
RESNET = {**CLIP, "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16}}
CUSTOM = {**CLIP, "custom_text": True}
# (the config, a field of the checkpoint's own training, its value, what the message has to say)
TRAINED_OTHERWISE: list[tuple[dict[str, Any], str, Any, str]] = [
    (CLIP, "vision_cfg.image_size", 64, "set model_cfg.vision_cfg.image_size to 64 (the config has 32)"),
    (CLIP, "vision_cfg.image_size", [32, 64], "image_size to the size whose grid has 32 cells"),
    (CLIP, "vision_cfg.patch_size", 16, "set model_cfg.vision_cfg.patch_size to 16 (the config has 8)"),
    (CLIP, "vision_cfg.width", 128, "set model_cfg.vision_cfg.width to 128 (the config has 64)"),
    (CLIP, "vision_cfg.layers", 3, "set model_cfg.vision_cfg.layers to 3 (the config has 2)"),
    (CLIP, "vision_cfg.mlp_ratio", 2.0, "set model_cfg.vision_cfg.mlp_ratio to 2.0 (the config has 4.0)"),
    (CLIP, "vision_cfg.no_ln_pre", True, "set model_cfg.vision_cfg.no_ln_pre to true"),
    (CLIP, "vision_cfg.qk_norm", True, "set model_cfg.vision_cfg.qk_norm to true"),
    (CLIP, "vision_cfg.attentional_pool", True, "set model_cfg.vision_cfg.attentional_pool to true"),
    (CLIP, "text_cfg.context_length", 32, "set model_cfg.text_cfg.context_length to 32 (the config has 77)"),
    (CUSTOM, "text_cfg.context_length", 32, "set model_cfg.text_cfg.context_length to 32 (the config has 77)"),
    (CLIP, "text_cfg.vocab_size", 1002, "set model_cfg.text_cfg.vocab_size to 1002 (the config has 1000)"),
    (CLIP, "text_cfg.width", 128, "set model_cfg.text_cfg.width to 128 (the config has 64)"),
    (CUSTOM, "text_cfg.layers", 1, "set model_cfg.text_cfg.layers to 1 (the config has 2)"),
    (CUSTOM, "text_cfg.proj_type", "none", "set model_cfg.text_cfg.proj_type to none"),
    (CUSTOM, "text_cfg.proj_bias", True, "set model_cfg.text_cfg.proj_bias to true"),
    (CUSTOM, "text_cfg.embed_cls", True, "set model_cfg.text_cfg.embed_cls to true"),
    (CLIP, "embed_dim", 32, "set model_cfg.embed_dim to 32 (the config has 64)"),
    (CLIP, "custom_text", True, "set model_cfg.custom_text to true"),
    (CLIP, "init_logit_bias", -10, "set model_cfg.init_logit_bias to -10"),
    ({**CLIP, "init_logit_bias": -10}, "init_logit_bias", None, "remove model_cfg.init_logit_bias"),
    (RESNET, "vision_cfg.image_size", 96, "set model_cfg.vision_cfg.image_size to 96 (the config has 64)"),
    (RESNET, "vision_cfg.layers", [1, 2, 1, 1], "layers to [1, 2, 1, 1] (the config has [1, 1, 1, 1])"),
    (RESNET, "vision_cfg.width", 32, "set model_cfg.vision_cfg.width to 32 (the config has 16)"),
]
# (the registry's config, the registry's checkpoint that is given to it, what the message has to say)
OF_ANOTHER_MODEL = [
    ("ViT-B-32", "ViT-L-14", "patch_size to 14 (the config has 32)"),
    ("ViT-B-32", "RN50", "vision_cfg.layers to [3, 4, 6, 3] (the config has 12)"),
    ("ViT-B-32", "coca_ViT-B-32", "multimodal_cfg to CoCa's"),
    ("coca_ViT-B-32", "ViT-B-32", "multimodal_cfg to null"),
    ("ViT-B-16-SigLIP", "ViT-B-16-SigLIP-384", "image_size to 384 (the config has 224)"),
    ("ViT-B-16-SigLIP", "ViT-B-16-SigLIP2", "vocab_size to 256000 (the config has 32000)"),
    ("EVA02-B-16", "EVA02-L-14", "vision_cfg.timm_model_name"),
    ("convnext_base", "convnext_large_d", "vision_cfg.timm_model_name"),
    ("MobileCLIP-S1", "MobileCLIP-S2", "vision_cfg.timm_model_name"),
    ("PE-Core-B-16", "PE-Core-L-14-336", "image_size to 336 (the config has 224)"),
    ("roberta-ViT-B-32", "xlm-roberta-base-ViT-B-32", "text_cfg.hf_model_name"),
    ("ViT-B-32", "roberta-ViT-B-32", "text_cfg.hf_model_name"),
]


def tensors(config: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors of a checkpoint of that config, as open_clip itself would save it; without their numbers."""
    with torch.device("meta"), meta_model.text_towers_known(parameter_count.towers()):
        name = config["text_cfg"].get("hf_model_name")
        made = copy.deepcopy({key: value for key, value in config.items() if key != "custom_text"})
        made["text_cfg"]["hf_model_pretrained"] = False
        kind = open_clip.CoCa if "multimodal_cfg" in made else open_clip.CustomTextCLIP
        model = (kind if config.get("custom_text") or name else open_clip.CLIP)(**made)
    return {key: Tensor(tuple(one.shape), str(one.dtype)[6:], one.clone) for key, one in model.state_dict().items()}


def changed(config: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    other = copy.deepcopy(config)
    section, _, name = field.rpartition(".")
    table = other[section] if section else other
    table[name] = value
    return {key: value for key, value in other.items() if value is not None}


@cache
def of_registry(name: str) -> dict[str, Tensor]:
    return tensors(open_clip.get_model_config(name))


@pytest.mark.parametrize(
    ("config", "field", "value", "told"), TRAINED_OTHERWISE, ids=[f"{f} {v}" for _, f, v, _ in TRAINED_OTHERWISE]
)
def test_the_field_that_was_other_in_training_is_named_with_its_value(
    config: dict[str, Any], field: str, value: Any, told: str
) -> None:
    assert told in str(difference(config, tensors(changed(config, field, value)), {}))
    assert difference(config, tensors(config), {}) is None


@pytest.mark.parametrize(("name", "other", "told"), OF_ANOTHER_MODEL)
def test_each_family_tells_a_checkpoint_of_another_model(name: str, other: str, told: str) -> None:
    config, towers = open_clip.get_model_config(name), parameter_count.towers()
    problem = str(difference(config, of_registry(other), towers))
    assert told in problem
    assert len(problem) < 900
    assert "\n" not in problem
    assert difference(config, of_registry(name), towers) is None


def size(name: str) -> int:
    row = table.known(name)
    assert row is not None
    return sum(row["parameters"].values())


def of_each_kind() -> dict[str, dict[str, Any]]:
    """Return the smallest model of each kind of towers in the registry: of those whose configs have the same fields."""
    kinds: dict[str, tuple[int, str]] = {}
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        fields = {key: sorted(value) for key, value in config.items() if isinstance(value, dict)}
        timm = re.match("[a-z]*", config["vision_cfg"].get("timm_model_name", ""))
        kind = json.dumps([fields, timm and timm[0]], sort_keys=True)
        kinds[kind] = min(kinds.get(kind, (10**12, "")), (size(name), name))
    return {name: open_clip.get_model_config(name) for _, name in kinds.values()}


def test_no_model_of_the_registry_is_refused_with_its_own_tensors() -> None:
    """Of the shapes that open_clip itself makes. `make tensor-shapes` tries every model, which takes a minute."""
    every = {name: open_clip.get_model_config(name) for name in open_clip.list_models()}
    configs = every if os.environ.get("ALL_MODELS") else of_each_kind()
    towers = parameter_count.towers()

    problems = {name: difference(config, tensors(config), towers) for name, config in configs.items()}

    print(f"{len(problems)} of {len(every)} models")
    assert {name: problem for name, problem in problems.items() if problem} == {}


@pytest.mark.parametrize(
    ("renamed", "told"),
    [
        (lambda key: f"_orig_mod.{key}", "torch.compile"),
        (lambda key: f"module.{key}", "begin with module."),
        (lambda key: key.replace("visual.", "vision_model."), "transformers' CLIPModel"),
        (lambda key: f"{key}.lora_A" if "in_proj" in key else key, "adapter (LoRA)"),
        (lambda key: "loss.scale" if key == "ln_final.bias" else f"model.{key}", "begin with model., beside others"),
        (lambda key: "renamed" if key == "logit_scale" else key, "it lacks 1 of the model's 62 tensors"),
    ],
)
def test_names_of_another_kind_are_reported_in_one_line(renamed: Any, told: str) -> None:
    problem = str(difference(CLIP, {renamed(key): one for key, one in tensors(CLIP).items()}, {}))
    assert told in problem
    assert len(problem) < 400


def test_copies_of_the_model_are_told_and_not_taken_for_it() -> None:
    """As of an average of its weights (EMA), and of a student and a teacher."""
    plain = tensors(CLIP)
    ema, student, teacher = ({f"{start}.{key}": one for key, one in plain.items()} for start in ("ema", "s", "t"))

    assert difference(CLIP, {**plain, **ema}, {}) == (
        "it has 62 tensors that the model lacks (the first: ema.positional_embedding); save the open_clip model's own "
        "state_dict() alone, or name the config that it was trained with"
    )
    other = difference(changed(CLIP, "vision_cfg.layers", 3), {**plain, **ema}, {})
    assert other == "set model_cfg.vision_cfg.layers to 2 (the config has 3)"
    assert "its tensors begin with s. or t., beside others" in str(difference(CLIP, {**student, **teacher}, {}))


def test_old_names_of_the_text_tower_are_open_clips_own_affair() -> None:
    assert difference(CUSTOM, tensors(CLIP), {}) is None


def test_integers_are_never_taken_for_floats() -> None:
    quantized = {**tensors(CLIP), "visual.proj": Tensor((64, 64), "int8", torch.empty)}
    assert "visual.proj holds int8, not floats" in str(difference(CLIP, quantized, {}))


def own(folder: Path, cache: Path) -> tuple[ModelSpec, list[Fetched]]:
    spec = ModelSpec("hf-hub:acme/own", checkpoint=str(folder))
    return spec, [local_checkpoint.repository(spec, cache).located.fetched()]


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module.", "model."])
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_training_runs_wrapping_is_taken_off_a_checkpoint_of_ones_own(
    tmp_path: Path, prefix: str, suffix: str
) -> None:
    weights = repositories.small_clip(tmp_path / "own", layers=1) / "open_clip_model.safetensors"
    state = load_file(weights)
    weights.unlink()
    wrapped = {f"{prefix}{key}": value for key, value in state.items()}
    if suffix == "pt":
        torch.save({"epoch": 1, "state_dict": wrapped}, tmp_path / "own" / "e.pt")
    else:
        save_file(wrapped, tmp_path / "own" / "e.safetensors")

    spec, sources = own(tmp_path / "own", tmp_path / "cache")

    refuse_unfit(spec, sources)
    found = load_file(sources[0].folder / "open_clip_model.safetensors")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_a_checkpoint_of_force_custom_text_is_understood(tmp_path: Path) -> None:
    folder = repositories.small_clip(tmp_path / "own", custom_text=True)
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    del config["model_cfg"]["custom_text"]
    path.write_text(json.dumps(config))

    spec, sources = own(folder, tmp_path / "cache")

    refuse_unfit(spec, sources)
    assert resolve.model_config(spec, sources[0].folder / "open_clip_config.json")["custom_text"] is True


def test_a_config_that_open_clip_cannot_make_is_one_line() -> None:
    with pytest.raises(CheckpointError, match="cannot build a model of this config") as told:
        difference(changed(CLIP, "text_cfg.act_kwargs", {"nonsense": 1}), tensors(CLIP), {})
    assert "\n" not in str(told.value)
