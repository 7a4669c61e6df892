"""Each option of a text tower's config is open_clip's own in the tower that is exported for it, at every length."""

import copy
from typing import Any

import pytest
import torch

from handler.engines.packed_texts import pack
from layer.config.field_table import MODEL, TEXT, TOWER
from layer.export.attention import export_friendly_attention
from layer.export.towers import CausalTextTower, TextTower, end_id, is_causal
from layer.openclip import open_clip

CONFIG: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 100, "width": 32, "heads": 2, "layers": 2},
}
BLOCK = ("qk_norm", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc")
OPTIONS: list[tuple[str, Any]] = [
    ("text_cfg.mlp_ratio", 2.0),
    ("text_cfg.ls_init_value", 0.1),
    ("text_cfg.act_kwargs", {"approximate": "tanh"}),
    ("text_cfg.norm_kwargs", {"eps": 1e-2}),
    ("text_cfg.block_type", "custom"),
    *((f"text_cfg.{name}", True) for name in BLOCK),
    *(("text_cfg.pool_type", pool) for pool in ("first", "last", "argmax", "eos")),
    ("text_cfg.no_causal_mask", True),
    ("text_cfg.embed_cls", True),
    ("text_cfg.pad_id", 7),
    ("text_cfg.eos_id", 98),
    ("text_cfg.proj_type", "none"),
    ("text_cfg.proj_bias", True),
    ("quick_gelu", True),
    ("nonscalar_logit_scale", True),
]
# Sizes, which every model here has; CoCa's, transformers' and vision towers are exported as open_clip's module itself.
ELSEWHERE = {"width", "heads", "layers", "vocab_size", "output_tokens"} | {
    name for name in TEXT if name.startswith("hf_")
}
ELSEWHERE |= {"embed_dim", "vision_cfg", "text_cfg", "multimodal_cfg", "custom_text"}


def model(field: str, value: Any, custom: bool) -> Any:
    config = copy.deepcopy(CONFIG)
    section, _, name = field.rpartition(".")
    (config[section] if section else config)[name] = value
    if field == "text_cfg.eos_id":
        config["text_cfg"]["pool_type"] = "eos"
    if field == "text_cfg.pool_type" and value == "eos":
        config["text_cfg"]["eos_id"] = 99
    torch.manual_seed(0)
    made = (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**config).eval()
    for parameter in made.parameters():  # gains and scales that are 1 at the start would hide what is left out
        torch.nn.init.normal_(parameter, 0.5, 0.2)
    return made


def embed(made: Any, ids: torch.Tensor) -> torch.Tensor:
    """Embed texts by the tower that is exported for a model: a causal one has several in a row."""
    found: torch.Tensor
    if not is_causal(made):
        found = TextTower(made)(ids)
        return found
    packed = pack(ids.numpy(), end_id(made))
    with export_friendly_attention():
        [(some, feed)] = packed.runs()
        tokens = {name: torch.from_numpy(values) for name, values in {"ids": some, **feed}.items()}
        found = CausalTextTower(made)(**tokens).flatten(0, 1)[packed.picked]
    return found


# open_clip's CLIP has no place for the token of embed_cls, and the check of configs refuses it there.
TRIED = [(*row, custom) for row in OPTIONS for custom in (False, True) if custom or row[0] != "text_cfg.embed_cls"]


@pytest.mark.parametrize(("field", "value", "custom"), TRIED, ids=[f"{f} {v} {c}" for f, v, c in TRIED])
def test_the_exported_text_tower_honors_an_option_at_every_length(field: str, value: Any, custom: bool) -> None:
    made = model(field, value, custom)
    end = end_id(made) or 99
    ids = torch.zeros(6, 16, dtype=torch.long)
    for row, length in enumerate((3, 7, 16, 2, 5, 3)):
        ids[row, :length] = torch.randint(1, 97, (length,))
        ids[row, length - 1] = end
    with torch.inference_mode():
        torch.testing.assert_close(embed(made, ids), made.encode_text(ids), rtol=1e-4, atol=1e-4)


def test_every_option_of_a_text_tower_is_tried_here() -> None:
    known = {f"text_cfg.{name}" for name, field in TEXT.items() if field.treatment == TOWER and name not in ELSEWHERE}
    known |= {name for name, field in MODEL.items() if field.treatment == TOWER and name not in ELSEWHERE}
    assert {field for field, _ in OPTIONS} == known
