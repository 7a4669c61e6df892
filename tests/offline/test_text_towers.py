"""Text towers of transformers on ONNX Runtime: narrow ones of each class, with its own class of tokenizer.

At their true sizes: `make models`, docs/coverage.md.
"""

import json
from typing import Any

import pytest

from tests.families.families import Family
from tests.families.repositories import serve
from tests.hub.builder import Builder
from tests.hub.server import serving

NARROW = {"vision_cfg.width": 64, "vision_cfg.layers": 2, "vision_cfg.image_size": 64}
BERT = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
T5 = {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_decoder_layers": 1, "num_heads": 4}
M2M = {"d_model": 64, "encoder_layers": 2, "decoder_layers": 1, "encoder_ffn_dim": 128, "encoder_attention_heads": 2}
FAMILIES = (
    Family("roberta", "", "roberta-ViT-B-32", shrunk=NARROW, tower=BERT),
    Family("mT5", "", "mt5-base-ViT-B-32", shrunk=NARROW, tower={**T5, "vocab_size": 1000}),
    Family("NLLB", "", "nllb-clip-base", shrunk=NARROW, tower={**M2M, "vocab_size": 1000}),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Each model's entry in the manifest of one bundle, with what the handler said of it offline."""
    root = tmp_path_factory.mktemp("towers")
    with serving() as hub:
        tables = [f"[[model]]\n{serve(hub, family, root / family.name)[0]}\n" for family in FAMILIES]
        builder = Builder(root / "work", hub)
        run = builder.run("engine = 'onnx'\n".join([*tables, ""]))
    assert run.returncode == 0, run.stderr
    entries = {entry["id"]: entry for entry in json.loads(builder.manifest)["models"]}
    for report in builder.reports("onnx"):
        entries[report["id"]]["report"] = report
    return entries


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_text_tower_of_transformers_is_exported_and_served_without_it(models: dict[str, Any], family: Family) -> None:
    entry = models[f"acme/{family.model}"]

    assert entry["engine"] == "onnx"
    assert entry["report"]["token_ids_equal"]
    assert min(entry["report"]["min_text_cosine"], entry["report"]["min_image_cosine"]) >= 0.999
    assert {tuple(source["roles"]) for source in entry["sources"]} == {
        ("weights", "config"),
        ("tokenizer", "text_config"),
    }
