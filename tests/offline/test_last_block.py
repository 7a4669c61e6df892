"""The last block of a tower is computed for one token where one is pooled, and the embedding is open_clip's own."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from layer.config.field_table import TOWER, VISION
from layer.export.onnx_graph import export_fp32
from layer.export.token_table import externalize_table
from layer.export.towers import ImageTower
from layer.openclip import open_clip
from tests.offline.test_tower_options import BLOCK, CONFIG, embed

OPTIONS: list[tuple[str, Any]] = [
    ("mlp_ratio", 2.0),
    ("ls_init_value", 0.1),
    ("act_kwargs", {"approximate": "tanh"}),
    ("norm_kwargs", {"eps": 1e-2}),
    ("block_type", "custom"),
    *((name, True) for name in BLOCK),
    *(("pool_type", pool) for pool in ("tok", "avg")),
    ("output_tokens", True),
    *(("attentional_pool", kind) for kind in (True, "parallel", "cascade")),
    ("attn_pooler_queries", 4),
    ("attn_pooler_heads", 2),
    ("no_ln_pre", True),
    ("pos_embed_type", "sin_cos_2d"),
    ("final_ln_after_pool", True),
]
SIZES = {"width", "layers", "head_width", "patch_size", "image_size"}  # which every model here has
OTHER_BLOCKS = {*BLOCK, "block_type"}  # whose attention is open_clip's own: all of it is computed


def made_of(field: str, value: Any, section: str = "vision_cfg") -> Any:
    config = copy.deepcopy(CONFIG)
    config[section] |= {"layers": 2, field: value}
    if field.startswith("attn_pooler"):
        config[section]["attentional_pool"] = True
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(**config).eval()
    for parameter in model.parameters():  # gains and scales that are 1 at the start would hide what is left out
        nn.init.normal_(parameter, 0.5, 0.2)
    return model


def tokens_of_last_layer(part: Any, run: Any) -> int:
    """Return for how many tokens `run` computes the last layer of a transformer."""
    seen: list[int] = []
    last = part.transformer.resblocks[-1].mlp.c_fc
    handle = last.register_forward_hook(lambda module, given, found: seen.append(found.shape[:2].numel()))
    run()
    handle.remove()
    [count] = seen
    return count


@pytest.mark.parametrize(("field", "value"), OPTIONS, ids=str)
def test_an_image_tower_honors_an_option(field: str, value: Any) -> None:
    model, pixels = made_of(field, value), torch.randn(3, 3, 16, 16)
    tower = ImageTower(model)
    with torch.inference_mode():
        expected, found = model.encode_image(pixels), tower(pixels)
        if isinstance(expected, tuple):
            expected, found = expected[0], found[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_every_option_of_open_clips_own_image_tower_is_tried_here() -> None:
    known = {name for name, field in VISION.items() if field.treatment == TOWER and not name.startswith("timm_")}
    assert {field for field, _ in OPTIONS} == known - SIZES


@pytest.mark.parametrize(("field", "value"), OPTIONS, ids=str)
def test_the_last_layer_of_an_image_tower_is_of_the_pooled_token_alone(field: str, value: Any) -> None:
    model, pixels = made_of(field, value), torch.randn(1, 3, 16, 16)
    count = tokens_of_last_layer(model.visual, lambda: ImageTower(model)(pixels))
    all_tokens = field in OTHER_BLOCKS or value == "avg" or model.visual.attn_pool is not None
    assert count == (5 if all_tokens else 1)  # four patches, and the class token


@pytest.mark.parametrize(
    ("field", "value"), [("pool_type", "argmax"), ("pool_type", "last"), ("pool_type", "first"), ("embed_cls", True)]
)
@pytest.mark.parametrize("causal", [True, False])
def test_the_last_layer_of_a_text_tower_is_of_the_pooled_token_alone(field: str, value: Any, causal: bool) -> None:
    model = made_of(field, value, "text_cfg")
    model.text.attn_mask = model.text.attn_mask if causal else None
    ids = torch.randint(1, 97, (2, 16))
    count = tokens_of_last_layer(model.text, lambda: embed(model, ids))
    assert count == 2 * (16 if value == "argmax" and not causal else 1)
    with torch.inference_mode():
        torch.testing.assert_close(embed(model, ids), model.encode_text(ids), rtol=1e-4, atol=1e-4)


def test_open_clips_own_is_back_afterwards() -> None:
    model, pixels = made_of("pool_type", "tok"), torch.randn(1, 3, 16, 16)
    ImageTower(model)(pixels)
    assert model.visual.transformer(torch.randn(1, 5, 32)).shape == (1, 5, 32)


def test_a_graph_holds_each_matrix_of_the_last_block_once(tmp_path: Any) -> None:
    import onnx

    model = made_of("pool_type", "tok")
    export_fp32(model, (16, 16), 16, tmp_path)
    for part, name in ((model.visual, "image.onnx"), (model.text, "text.onnx")):
        held = sum(t.numel() for t in part.state_dict().values() if t.is_floating_point())
        graph = onnx.load(tmp_path / name).graph
        numbers = sum(onnx.numpy_helper.to_array(tensor).size for tensor in graph.initializer)
        assert numbers == pytest.approx(held, abs=400), name  # and what else a graph needs: shapes, scales, a mask


def test_a_causal_text_graph_is_given_no_ids_where_it_is_given_their_rows(tmp_path: Path) -> None:
    import onnx

    export_fp32(made_of("pool_type", "argmax", "text_cfg"), (16, 16), 16, tmp_path)
    assert externalize_table(tmp_path / "text.onnx")

    inputs = {port.name for port in onnx.load(tmp_path / "text.onnx", load_external_data=False).graph.input}
    assert inputs == {"rows", "positions", "mask", "ends"}
