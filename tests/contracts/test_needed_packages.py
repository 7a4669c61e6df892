"""The handler imports of transformers only what `package` installs: both tell by the same facts of a model."""

import json
from pathlib import Path

import pytest

from handler import manifest
from handler.engines.import_open_clip import needs_transformers
from layer.bundle import manifest as layer_manifest
from layer.bundle import records
from layer.package import wheels
from tests.contracts.agreement import agree

MANIFEST = Path(__file__).parent / "manifests" / "schema-3-before-0.2.0.json"


@pytest.mark.parametrize("roles", [["weights", "config"], ["text_config"]])
@pytest.mark.parametrize("kind", ["simple", "hf"])
def test_the_models_that_need_transformers(kind: str, roles: list[str]) -> None:
    content = json.loads(MANIFEST.read_text(encoding="utf-8"))
    [model] = content["models"]
    model["engine"], model["tokenizer"]["kind"], model["sources"][0]["roles"] = "torch", kind, roles
    read = {name: held for name, held in model.items() if name in manifest.ModelEntry._fields}
    packaged = wheels.needed(layer_manifest.parse(records.Manifest, json.dumps(content)).models)
    agree(
        "whether transformers is needed at run time",
        {
            "handler/engines/import_open_clip.py": needs_transformers(manifest.ModelEntry(**read)),
            "layer/package/wheels.py": wheels.TRANSFORMERS in packaged,
            "as docs/engines.md says": kind == "hf" or "text_config" in roles,
        },
    )
