"""What a step in a process of its own finds wrong with a model reaches the user in its own words, with its own fix."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from layer.bundle import reference
from layer.errors import GoldenError
from layer.openclip import open_clip
from tests.hub import repositories
from tests.hub.builder import Builder
from tests.hub.server import serving

WEIGHTS = "open_clip_model.safetensors"
SPOILED = "visual.transformer.resblocks.1.mlp.c_fc.weight"


def spoiled(folder: Path, value: float) -> Path:
    """A model in which one number of one matrix is what training leaves that diverged."""
    base = repositories.small_clip(folder)
    state = load_file(base / WEIGHTS)
    state[SPOILED][3, 5] = value
    save_file(state, base / WEIGHTS, metadata={"format": "pt"})
    return base


def refusal(root: Path, checkpoint: Path, engine: str) -> str:
    """The last line of a build of a checkpoint that fails."""
    with serving() as hub:
        run = Builder(root, hub, environ={"HF_HUB_OFFLINE": "1"}).run(
            f'[[model]]\nname = "acme/own"\ncheckpoint = "{checkpoint}"\nengine = "{engine}"\n'
        )
    assert run.returncode == 1
    return run.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_a_tokenizer_of_another_model_is_told_with_the_field_to_set(tmp_path: Path, engine: str) -> None:
    folder = repositories.small_clip(tmp_path / "own", vocab_size=1000)

    last = refusal(tmp_path / "work", folder, engine)

    assert last.startswith("error: acme/own: the tokenizer of hf-hub:acme/own has 49408 tokens")
    assert last.endswith(": set text_cfg.vocab_size as it was in training")


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_a_checkpoint_with_nan_is_named_with_the_tensor(tmp_path: Path, engine: str) -> None:
    last = refusal(tmp_path / "work", spoiled(tmp_path / "own", float("nan")), engine)

    assert last.startswith("error: acme/own: open_clip itself computes no embeddings with these weights: 1 of its")
    assert f"NaN or infinity ({SPOILED})" in last
    assert "before training diverged" in last


@pytest.mark.parametrize("change", ["infinite", "nothing"])
def test_other_weights_without_embeddings_are_refused_too(tmp_path: Path, change: str) -> None:
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{repositories.small_clip(tmp_path / 'own')}")
    with torch.no_grad():
        model.visual.proj.fill_(float("inf") if change == "infinite" else 0.0)
    loaded = reference.Loaded(model.eval(), transform, open_clip.get_tokenizer("ViT-B-32"))

    with pytest.raises(GoldenError, match="computes no embeddings with these weights"):
        reference.embed(loaded, ["a cat"], reference.images())
