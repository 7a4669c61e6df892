"""Text towers of several anatomies, on both fast engines: any batch of texts has open_clip's own embeddings.

SigLIP's anatomy, which sees all of a text at once, is the demo model's.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from layer.bundle import sandbox
from layer.openclip import open_clip
from tests.hub import repositories
from tests.hub.builder import Builder
from tests.hub.server import serving

TOWERS: dict[str, dict[str, Any]] = {
    "clip": {},  # causal, pools at the highest id
    "eos": {"custom_text": True, "pool_type": "eos", "eos_id": 49407},
    "cls": {"custom_text": True, "embed_cls": True, "pad_id": 0},  # CoCa's: a class token after the padding
}
ENGINES = ("openvino", "onnx")
TEXTS = ["red", "a photo of a cat on a mat", "word " * 90, "it's 100%", "a " * 20, "一只猫", "two dogs " * 5, "x"]
ASK = """
import json, sys
from handler.app import lambda_handler
texts = json.load(open(sys.argv[1]))
def embed(model, some):
    return [item["embedding"] for item in lambda_handler({"model": model, "input": some}, None)["data"]]
json.dump(
    {model: [embed(model, texts), [embed(model, [text])[0] for text in texts]] for model in sys.argv[2:]}, sys.stdout
)
"""


@dataclass(frozen=True)
class Small:
    """What the handler said of every tower: embeddings of TEXTS together, and of each alone."""

    said: dict[str, Any]
    entries: dict[str, Any]
    exported: dict[str, int]  # when each model's export to ONNX was made


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The towers' repositories, and a file of TEXTS."""
    root = tmp_path_factory.mktemp("towers")
    for name, text in TOWERS.items():
        repositories.small_clip(root / name, **text)
    (root / "texts.json").write_text(json.dumps(TEXTS))
    return root


@pytest.fixture(scope="module")
def small(root: Path) -> dict[str, Small]:
    """Each engine's build, one after the other with the same cache."""
    with serving() as hub:
        for name in TOWERS:
            hub.add(f"acme/{name}", root / name)
        return {engine: build(Builder(root / "work", hub), engine, root / "texts.json") for engine in ENGINES}


def build(builder: Builder, engine: str, texts: Path) -> Small:
    ids = [f"acme/{name}" for name in TOWERS]
    run = builder.run(
        "".join(f'[[model]]\nname = "hf-hub:{name}"\nengine = "{engine}"\nprecision = "fp32"\n' for name in ids)
    )
    assert run.returncode == 0, run.stderr
    asked = sandbox.run(builder.bundle, ["-c", ASK, str(texts), *ids])
    assert asked.returncode == 0, asked.stderr
    entries = {entry["id"]: entry for entry in json.loads(builder.manifest)["models"]}
    made = {path.parts[-3]: path.stat().st_mtime_ns for path in builder.root.glob("cache/exported/*/*/facts.json")}
    return Small(json.loads(asked.stdout), entries, made)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", TOWERS)
def test_texts_of_mixed_length_are_embedded_in_order_as_open_clip_does(
    root: Path, small: dict[str, Small], name: str, engine: str
) -> None:
    place = f"local-dir:{root / name}"
    model, _ = open_clip.create_model_from_pretrained(place)
    with torch.inference_mode():
        expected = model.eval().encode_text(open_clip.get_tokenizer(place)(TEXTS), normalize=True).numpy()

    together, alone = (np.array(vectors) for vectors in small[engine].said[f"acme/{name}"])
    assert (together * expected).sum(axis=1).min() >= 0.99999
    assert (alone * expected).sum(axis=1).min() >= 0.99999


@pytest.mark.parametrize("engine", ENGINES)
def test_only_towers_in_which_no_token_sees_a_later_one_are_cut_short(small: dict[str, Small], engine: str) -> None:
    cut = {entry["id"] for entry in small[engine].entries.values() if entry["export"]["causal_text"]}

    assert cut == {"acme/clip", "acme/eos"}


def test_another_engine_begins_at_the_export_that_is_there(small: dict[str, Small]) -> None:
    first, second = (small[engine].exported for engine in ENGINES)

    assert first == second
    assert set(first) == {f"acme--{name}" for name in TOWERS}
