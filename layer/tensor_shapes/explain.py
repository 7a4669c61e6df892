"""Explain why a checkpoint has other tensor shapes than the model of its config: which field to set to which value."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from console.counts import counted

Shapes = Mapping[str, tuple[int, ...]]
Difference = tuple[str, Any, Any]  # field, the value that fits the checkpoint, the value that the config has

MAX_TOLD = 4
# Names of tensors that show another kind of checkpoint, with what to do about it.
_OTHER_KINDS = (
    (r"(^|\.)_orig_mod\.", "it is torch.compile's, with _orig_mod. in its names: name a copy of it as `checkpoint`"),
    (r"^module\.", "its names begin with module.: name a copy of it as `checkpoint`"),
    (
        r"lora_|^base_model\.",
        "it is an adapter (LoRA): merge it into the model first (merge_and_unload), and save that",
    ),
    (
        r"^(text_model|vision_model|model\.(text|vision)_model)\.",
        "its names are those of transformers' CLIPModel or SiglipModel: take the repository of the same model for "
        "open_clip, or convert the names",
    ),
    (
        r"(weight_scale|SCB|quant_state|absmax|qzeros|scales)$",
        "it is quantized: take the checkpoint before quantization",
    ),
)
# Tensors that an option of a tower adds: pattern, option, its value with them and without.
_OPTIONS = (
    (r"\.ls_[12]\.gamma$", "ls_init_value", 1e-5, None),
    (r"\.attn\.ln_q\.", "qk_norm", True, False),
    (r"\.attn\.head_scale$", "scale_heads", True, False),
    (r"\.attn\.ln_inner\.", "scale_attn_inner", True, False),
    (r"\.ln_attn\.", "scale_attn", True, False),
    (r"\.mlp\.ln\.", "scale_fc", True, False),
)
# Positional embeddings of image towers, and the axis that has a row for each position.
_POSITIONS = {"visual.positional_embedding": 0, "visual.attnpool.positional_embedding": 0, "visual.trunk.pos_embed": 1}


def explain(config: Mapping[str, Any], wanted: Shapes, found: Shapes) -> str | None:
    """Compare the model's shapes with the checkpoint's, in the model's names; None where they are the same."""
    if wanted == found:
        return None
    for pattern, what in _OTHER_KINDS:
        if any(re.search(pattern, key) for key in found if key not in wanted):
            return what
    if start := _prefix(wanted, found):
        return f"its tensors begin with {start}, beside others: save the open_clip model's own state_dict() alone"
    differing = {field: (value, given) for field, value, given in _all(config, wanted, found) if value != given}
    lines = [
        f"set {field} to {_value(value)} (the config has {_value(given)})"
        for field, (value, given) in differing.items()
    ]
    return "; ".join([*lines[:MAX_TOLD], *([] if lines else [_keys(wanted, found)])])


def _prefix(wanted: Shapes, found: Shapes) -> str | None:
    """Return the prefix of the model's names in a checkpoint that has other parts too, as Lightning's; else None."""
    starts = ["", *(key.removesuffix("logit_scale") for key in found if key.endswith(".logit_scale"))]
    fit = [start for start in starts if 2 * sum(f"{start}{name}" in found for name in wanted) > len(wanted)]
    return None if "" in fit else " or ".join(fit[:MAX_TOLD])  # with "", the others are copies, such as an EMA


def _all(config: Mapping[str, Any], wanted: Shapes, found: Shapes) -> Iterator[Difference]:
    yield from _sizes(config, wanted, found)
    yield from _image(config, wanted, found)
    yield from _parts(config, wanted, found)
    yield from _towers(config, wanted, found)


def _sizes(config: Mapping[str, Any], wanted: Shapes, found: Shapes) -> Iterator[Difference]:
    """Compare sizes of tensors that both have."""
    text = "text." if "text.token_embedding.weight" in wanted else ""
    for key, axis, field in (
        (f"{text}token_embedding.weight", 0, "text_cfg.vocab_size"),
        (f"{text}token_embedding.weight", 1, "text_cfg.width"),
        (f"{text}positional_embedding", 0, "text_cfg.context_length"),
        ("visual.class_embedding", 0, "vision_cfg.width"),
        ("visual.layer1.0.conv1.weight", 0, "vision_cfg.width"),
        ("visual.attn_pool.query", 0, "vision_cfg.attn_pooler_queries"),
        ("text_decoder.resblocks.0.ln_1.weight", 0, "multimodal_cfg.width"),
        ("text_decoder.text_projection", 1, "text_cfg.vocab_size"),
        *((f"{tower}text_projection", 1, "embed_dim") for tower in ("", "text.")),
        *((f"{tower}text_projection.weight", 0, "embed_dim") for tower in ("", "text.")),
        *((key, axis, "embed_dim") for key, axis in (("visual.proj", 1), ("visual.attnpool.c_proj.weight", 0))),
        *(
            (f"{key}.weight", 0, "embed_dim")
            for key in ("visual.head.proj", "visual.head.mlp.fc2", "text.proj", "text.proj.2")
        ),
    ):
        if _differ(wanted, found, key, axis):
            added = wanted[key][0] - _given(config, field) if field == "text_cfg.context_length" else 0
            yield f"model_cfg.{field}", found[key][axis] - added, _given(config, field)
    for prefix, field in (
        ("visual.transformer.resblocks.0.", "vision_cfg"),
        (f"{text}transformer.resblocks.0.", "text_cfg"),
    ):
        key = f"{prefix}mlp.c_fc.weight"
        if _differ(wanted, found, key, 0) and not _differ(wanted, found, key, 1):
            yield f"model_cfg.{field}.mlp_ratio", found[key][0] / found[key][1], _given(config, f"{field}.mlp_ratio")


def _image(config: Mapping[str, Any], wanted: Shapes, found: Shapes) -> Iterator[Difference]:
    """Compare the size of a patch, and the image size, which shows in the number of positions."""
    size = _given(config, "vision_cfg.image_size")
    if ("visual.class_embedding" in wanted) != ("visual.class_embedding" in found):
        return  # towers of two kinds, which _towers reports
    conv = "visual.conv1.weight" if "visual.class_embedding" in wanted else "visual.trunk.patch_embed.proj.weight"
    other_patch = _differ(wanted, found, conv, 2)
    if other_patch:
        field = "patch_size" if conv.startswith("visual.conv1") else "timm_model_name"
        fits = found[conv][2] if field == "patch_size" else f"a model of patches of {found[conv][2]}"
        yield f"model_cfg.vision_cfg.{field}", fits, _given(config, f"vision_cfg.{field}")
    for key, axis in _POSITIONS.items():
        if not (_differ(wanted, found, key, axis) or (other_patch and key in wanted and key in found)):
            continue
        before, now = (32 if "attnpool" in key else _patch(shapes.get(conv, ())) for shapes in (wanted, found))
        height, width = size if isinstance(size, list | tuple) else (size, size)
        extra = wanted[key][axis] - (height // before) * (width // before) if before else 1
        cells = found[key][axis] - extra
        side = math.isqrt(max(cells, 0))
        fits = side * now if side * side == cells and now else f"the size whose grid has {cells} cells"
        yield "model_cfg.vision_cfg.image_size", fits, size
    for key in wanted:
        of_timm = key.startswith("visual.trunk.") and not re.search(r"pos_embed$|patch_embed\.proj\.weight$", key)
        if of_timm and _differ(wanted, found, key, None):
            field = "image_size" if re.search(r"relative_position|rel_pos|\.latent", key) else "timm_model_name"
            described = f"what it was trained with ({_pair(key, wanted, found)})"
            yield f"model_cfg.vision_cfg.{field}", described, _given(config, f"vision_cfg.{field}")
            return


def _patch(shape: tuple[int, ...]) -> int:
    """Return the size of a patch by the weights of the convolution that cuts them; 0 if they are of another kind."""
    return shape[2] if len(shape) == 4 else 0


def _parts(config: Mapping[str, Any], wanted: Shapes, found: Shapes) -> Iterator[Difference]:
    """Compare the parts of the model, by tensors that only one of the two has."""
    text = "text." if any(key.startswith("text.transformer.resblocks") for key in {*wanted, *found}) else ""
    for prefix, section in (
        ("visual.transformer.resblocks.", "vision_cfg"),
        (f"{text}transformer.resblocks.", "text_cfg"),
        ("text_decoder.resblocks.", "multimodal_cfg"),
    ):
        has, needs = _blocks(found, prefix), _blocks(wanted, prefix)
        if has and needs and has != needs:
            yield f"model_cfg.{section}.layers", has, needs
        for pattern, option, on, off in _OPTIONS:
            one, other = (any(k.startswith(prefix) and re.search(pattern, k) for k in keys) for keys in (found, wanted))
            if has and one != other:
                yield f"model_cfg.{section}.{option}", on if one else off, _given(config, f"{section}.{option}")
    groups = [[_blocks(shapes, f"visual.layer{n}.") for n in (1, 2, 3, 4)] for shapes in (found, wanted)]
    if all(groups[0]) and groups[0] != groups[1]:
        yield "model_cfg.vision_cfg.layers", groups[0], _given(config, "vision_cfg.layers")
    for key, field, there, absent in (
        ("text.cls_emb", "text_cfg.embed_cls", True, False),
        ("text_decoder.text_projection", "multimodal_cfg", "CoCa's, as in training", None),
        ("visual.attn_pool.query", "vision_cfg.attentional_pool", True, False),
        (f"{text}text_projection.bias", "text_cfg.proj_bias", True, False),
    ):
        if (key in found) != (key in wanted):
            yield f"model_cfg.{field}", there if key in found else absent, absent if key in found else there
    if "visual.class_embedding" in wanted and "visual.class_embedding" in found:
        has, needs = ("visual.ln_pre.weight" in shapes for shapes in (found, wanted))
        if has != needs:
            yield "model_cfg.vision_cfg.no_ln_pre", not has, not needs
    projected = [any(key.startswith(f"{text}text_projection") for key in shapes) for shapes in (found, wanted)]
    same_names = all(f"{text}token_embedding.weight" in shapes for shapes in (found, wanted))
    if same_names and projected[0] != projected[1]:
        yield "model_cfg.text_cfg.proj_type", *(("linear", "none") if projected[0] else ("none", "linear"))


def _towers(config: Mapping[str, Any], wanted: Shapes, found: Shapes) -> Iterator[Difference]:
    """Compare towers of other libraries, and the wrapper of the text tower."""
    kinds = (
        (r"visual\.trunk\.", "vision_cfg.timm_model_name", "the name of timm's model that it was trained with"),
        (
            r"text\.transformer\.(?!resblocks)",
            "text_cfg.hf_model_name",
            "the repository of the text tower that it was trained with",
        ),
    )
    for prefix, field, described in kinds:
        one, other = ({k: v for k, v in shapes.items() if re.match(prefix, k)} for shapes in (found, wanted))
        if one.keys() != other.keys() or (one != other and field.startswith("text")):
            yield f"model_cfg.{field}", described if one else None, _given(config, field)
    if "text.token_embedding.weight" in found and "token_embedding.weight" in wanted:
        yield "model_cfg.custom_text", True, bool(config.get("custom_text"))
    has, needs = ({k for k in shapes if k.startswith("text.proj.")} for shapes in (found, wanted))
    if has != needs:
        fits = "mlp" if "text.proj.0.weight" in has else "linear" if "text.proj.weight" in has else None
        yield "model_cfg.text_cfg.hf_proj_type", fits, _given(config, "text_cfg.hf_proj_type")


def _keys(wanted: Shapes, found: Shapes) -> str:
    """Count what differs, with one example of each kind."""
    missing, foreign = [key for key in wanted if key not in found], [key for key in found if key not in wanted]
    other = [key for key in wanted if key in found and wanted[key] != found[key]]
    described = []
    if missing:
        described.append(f"it lacks {len(missing)} of the model's {len(wanted)} tensors (the first: {missing[0]})")
    if foreign:
        described.append(
            f"it has {counted(len(foreign), 'tensor')} that the model lacks (the first: {foreign[0][:80]})"
        )
    if other:
        pair = _pair(other[0], wanted, found)
        described.append(f"it has {counted(len(other), 'tensor')} of another shape (the first: {pair})")
    alone = "" if missing or other else "save the open_clip model's own state_dict() alone, or "
    return f"{', '.join(described)}; {alone}name the config that it was trained with"


def _pair(key: str, wanted: Shapes, found: Shapes) -> str:
    return f"{key}: {list(found[key])} in the checkpoint, {list(wanted[key])} by the config"


def _blocks(shapes: Shapes, prefix: str) -> int:
    return len({key[len(prefix) :].split(".")[0] for key in shapes if key.startswith(prefix)})


def _differ(wanted: Shapes, found: Shapes, key: str, axis: int | None) -> bool:
    if key not in wanted or key not in found:
        return False
    if axis is None or len(wanted[key]) != len(found[key]):
        return wanted[key] != found[key]
    return axis < len(wanted[key]) and wanted[key][axis] != found[key][axis]


def _given(config: Mapping[str, Any], field: str) -> Any:
    """Return a field's value, its default where the config leaves it out."""
    from layer.openclip import open_clip

    section, _, name = field.rpartition(".")
    if not section:
        return config.get(name)
    kinds = {"vision_cfg": open_clip.CLIPVisionCfg, "text_cfg": open_clip.CLIPTextCfg}
    return (config.get(section) or {}).get(name, getattr(kinds.get(section, open_clip.CLIPTextCfg), name, None))


def _value(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool | list | tuple) else str(value)
