"""An open_clip_config.json that open_clip would not honor, or that is hostile, is refused by the name of its field."""

import json
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from layer.config import field_table
from layer.config.check import check_config
from layer.config.field_table import REFUSED
from layer.errors import PlanError
from layer.openclip import open_clip
from layer.sources import local_checkpoint, resolve
from layer.spec import ModelSpec
from tests.hub import repositories

CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 64,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    },
    "preprocess_cfg": {},
}
TEXT, VISION, PREPROCESS = "model_cfg.text_cfg", "model_cfg.vision_cfg", "preprocess_cfg"
OWN = "model_cfg.text_cfg.tokenizer_kwargs"
WRONG: list[tuple[str, Any, str]] = [
    (f"{TEXT}.text_mask", "first", "text_cfg.text_mask is not a field of open_clip"),
    (f"{TEXT}.contxt_length", 32, "text_cfg.contxt_length is not a field of open_clip: did you mean context_length?"),
    (f"{VISION}.img_size", 32, "did you mean image_size?"),
    (f"{PREPROCESS}.men", [0.5] * 3, "preprocess_cfg.men is not a field of open_clip: did you mean mean?"),
    ("model_cfg.quickgelu", True, "did you mean quick_gelu?"),
    ("quick_gelu", True, "move it into model_cfg"),
    ("mean", [0.5] * 3, "move it into preprocess_cfg"),
    (f"{PREPROCESS}.mode", "L", "open_clip knows RGB"),
    (f"{PREPROCESS}.interpolation", "lanczos", "open_clip knows bicubic, bilinear, random"),
    (f"{PREPROCESS}.resize_mode", "crop", "open_clip knows shortest, longest, squash"),
    (f"{PREPROCESS}.fill_color", 300, "a whole number from 0 to 255"),
    (f"{PREPROCESS}.mean", [0.5, 0.5], "three numbers"),
    (f"{PREPROCESS}.size", 64, "differ, and open_clip takes image_size"),
    (f"{VISION}.pool_type", "max", "open_clip knows tok, avg"),
    (f"{VISION}.output_tokens", True, "gives more than an embedding"),
    (f"{VISION}.timm_model_name", "vit_bse_patch16_224", "did you mean vit_base_patch16_224?"),
    (f"{VISION}.timm_model_name", "hf-hub:timm/vit_base_patch16_224", "is not a model of timm"),
    (f"{VISION}.timm_model_name", "local-dir:/models/vit", "is not a model of timm"),
    (f"{TEXT}.final_ln_after_pool", True, "open_clip does not hand it to a text tower"),
    (f"{TEXT}.embed_cls", True, "add model_cfg.custom_text = true"),
    (f"{TEXT}.tokenizer_mode", "clips", "of transformers' tokenizers alone"),
    (f"{TEXT}.tokenizer_kwargs", None, "has to be a table"),
    (f"{TEXT}.hf_tokenizer_name", "/data/models/bert", "is a path of the machine"),
    (f"{TEXT}.hf_tokenizer_name", "C:\\models\\bert", "is a path of the machine"),
    (f"{TEXT}.hf_tokenizer_name", "../../etc", "is a path of the machine"),
    (f"{TEXT}.hf_tokenizer_name", "https://huggingface.co/a/b", "is not an id of a repository"),
    (f"{TEXT}.hf_model_name", "./bert", "is a path of the machine"),
    ("model_cfg.multimodal_cfg", {}, "CoCa needs custom_text"),
    (OWN, {"reduction_mask": "simple"}, "picks at random which tokens"),
    (OWN, {"bpe_path": "/tmp/bpe.gz"}, "a path means nothing on another machine"),
    (OWN, {"context_length": 32}, "takes it from text_cfg.context_length"),
    (OWN, {"clean": "upper"}, "open_clip knows whitespace, lower, canonicalize"),
    (OWN, {"additional_special_tokens": ["<|image|>"]}, "takes for a pattern"),
    (OWN, {"additional_special_tokens": ["<red>", "<red>"]}, "has one twice"),
    (OWN, {"additional_special_tokens": "<red>"}, "a list of texts"),
    (OWN, {"strip_sep_token": True}, "is not a field of open_clip"),
    (OWN, {"trust_remote_code": True}, "never done here"),
    # hostile
    (TEXT, [], "text_cfg = [] has to be a table"),
    (VISION, "x" * 10_000, "has to be a table"),
    ("model_cfg", [1], "it has no model_cfg"),
    (f"{TEXT}.layers", 100_000, "512 at most"),
    (f"{VISION}.layers", [100_000, 1, 1, 1], "512 at most"),
    (f"{VISION}.layers", [], "or four of them"),
    (f"{VISION}.width", 10**12, "65,536 at most"),
    (f"{VISION}.width", -1, "a whole number from 1 on"),
    (f"{VISION}.width", "64; rm", "a whole number from 1 on"),
    (f"{VISION}.image_size", 10**9, "8,192 at most"),
    (f"{VISION}.patch_size", 0, "from 1 on"),
    (f"{TEXT}.vocab_size", 10**10, "4,000,000 at most"),
    (f"{TEXT}.context_length", 10**6, "8,192 at most"),
    (f"{TEXT}.width", True, "a whole number from 1 on"),
    (f"{TEXT}.act_kwargs", [], "a table"),
    ("model_cfg.embed_dim", 1e9, "a whole number from 1 on"),
]


def changed(field: str, value: Any) -> dict[str, Any]:
    config = deepcopy(CONFIG)
    *path, last = field.split(".")
    table = config
    for key in path:
        table = table[key]
    table[last] = value
    return config


def refused(tmp_path: Path, text: str) -> str:
    """What the builder says of a repository's config; quickly, in one line."""
    path = tmp_path / "open_clip_config.json"
    path.write_text(text, encoding="utf-8")
    began = time.process_time()
    with pytest.raises(PlanError) as told:
        resolve.model_config(ModelSpec("hf-hub:acme/own"), path)
    assert time.process_time() - began < 5
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 900
    return str(told.value)


@pytest.mark.parametrize(("field", "value", "told"), WRONG, ids=[f"{f} {v!r:.30}" for f, v, _ in WRONG])
def test_a_field_that_open_clip_would_not_honor_is_named_with_the_fix(
    tmp_path: Path, field: str, value: Any, told: str
) -> None:
    assert told in refused(tmp_path, json.dumps(changed(field, value)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "nested too deep|is not JSON"),
        ('{"model_cfg": ' + "[" * 60 + "]" * 60 + "}", "nested deeper than 32"),
        ('{"model_cfg": ' + '{"a":' * 5000 + "1" + "}" * 5001, "nested"),
        ('{"a": "' + "x" * (5 << 20) + '"}', "is it a config"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
        ("null", "has no model_cfg"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n", "git lfs pull"),
        ("<html>", "is not JSON"),
        (f"\ufeff{json.dumps(CONFIG)}", "begins with a byte order mark"),  # open_clip does not load it
    ],
)
def test_a_file_that_is_no_config_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    assert any(one in refused(tmp_path, text) for one in told.split("|"))


def test_a_missing_tower_is_named(tmp_path: Path) -> None:
    config = deepcopy(CONFIG)
    del config["model_cfg"]["text_cfg"]
    assert "model_cfg has no text_cfg" in refused(tmp_path, json.dumps(config))


@pytest.mark.parametrize(
    ("section", "fields"),
    [
        ("model_cfg", field_table.MODEL),
        (TEXT, field_table.TEXT),
        (OWN, field_table.SIMPLE_TOKENIZER),
        (OWN, field_table.HF_TOKENIZER),
    ],
)
def test_every_field_that_is_not_exported_is_refused_by_name(section: str, fields: dict[str, Any]) -> None:
    for name in [name for name, field in fields.items() if field.treatment == REFUSED]:
        config = deepcopy(CONFIG)
        text = config["model_cfg"]["text_cfg"]
        if fields is field_table.HF_TOKENIZER:
            text["hf_tokenizer_name"] = "acme/tokens"
        text["tokenizer_kwargs"] = {}
        table = {"model_cfg": config["model_cfg"], TEXT: text, OWN: text["tokenizer_kwargs"]}[section]
        table[name] = "a value"
        with pytest.raises(PlanError, match=rf"\.{name} = 'a value'"):
            check_config(config, "acme/own", PlanError)


def test_every_config_of_open_clips_registry_passes() -> None:
    for name in open_clip.list_models():
        check_config({"model_cfg": open_clip.get_model_config(name), "preprocess_cfg": {}}, name, PlanError)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (OWN, {"additional_special_tokens": ["<red>", "<obj_1>"], "clean": "canonicalize"}),
        (f"{PREPROCESS}.mean", 0.5),
        (f"{PREPROCESS}.size", [32, 32]),
        (f"{PREPROCESS}.interpolation", "random"),
        (f"{TEXT}.hf_tokenizer_name", "google/mt5-base"),
        (f"{VISION}.timm_model_name", "vit_base_patch16_224.augreg_in21k"),
        ("model_cfg.init_logit_bias", -10),
        ("model_cfg.init_logit_scale", 2.3),
        ("created_by", "a tool of its own"),
    ],
)
def test_what_is_exported_exactly_passes(field: str, value: Any) -> None:
    check_config(changed(field, value), "acme/own", PlanError)


def test_a_config_of_ones_own_may_have_a_byte_order_mark_since_it_is_written_anew(tmp_path: Path) -> None:
    folder = repositories.small_clip(tmp_path / "own")
    config = folder / "open_clip_config.json"
    kept = {**json.loads(config.read_text()), "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    config.write_text(json.dumps(kept), encoding="utf-8-sig")

    made = local_checkpoint.repository(ModelSpec("hf-hub:acme/own", checkpoint=str(folder)), tmp_path / "cache")

    open_clip.create_model(f"local-dir:{made.located.folder}", require_pretrained=True)
