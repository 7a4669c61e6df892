"""A finished model of one's own is not taken where any file that it was made of has been edited since."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from layer.bundle.build_cache import fingerprint
from layer.spec import ModelSpec

CONFIG, TOKENIZER = "open_clip_config.json", "tokenizer.json"
PAIR = "ViT-B-16-SigLIP/webli"  # whose tokenizer is that of timm/ViT-B-16-SigLIP
Form = Callable[[Path], ModelSpec]


def write(path: Path, content: object = "weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def config(path: Path, tokenizer: str | None, tower: str | None = None) -> Path:
    """An open_clip_config.json as open_clip reads it."""
    text = {"hf_tokenizer_name": tokenizer, **({"hf_model_name": tower} if tower else {})}
    return write(path / CONFIG, {"model_cfg": {"text_cfg": text}, "preprocess_cfg": {}})


def own(checkpoint: Path | str, named: Path | str | None = None) -> ModelSpec:
    return ModelSpec("hf-hub:acme/own", checkpoint=str(checkpoint), config=None if named is None else str(named))


def beside(root: Path) -> ModelSpec:
    config(root, "acme/words", "acme/words")
    write(root / TOKENIZER)
    write(root / "config.json")
    return own(write(root / "epoch_3.pt"))


def named(root: Path) -> ModelSpec:
    write(root / "base" / TOKENIZER)
    return own(write(root / "runs" / "epoch_3.pt"), config(root / "base", "acme/words"))


def folder(root: Path) -> ModelSpec:
    config(root, "words")
    write(root / "words" / TOKENIZER)
    write(root / "model.safetensors")
    return own(root)


def path_in_config(root: Path) -> ModelSpec:
    config(root, "./text/words")
    write(root / "text" / "words" / TOKENIZER)
    return own(write(root / "epoch_3.pt"))


def pair(root: Path) -> ModelSpec:
    write(root / TOKENIZER)
    write(root / "timm" / "ViT-B-16-SigLIP" / "spiece.model")
    return own(write(root / "epoch_3.pt"), PAIR)


def address(root: Path) -> ModelSpec:
    write(root / TOKENIZER)
    return own("https://example.com/epoch_3.pt", config(root, "acme/words"))


@pytest.mark.parametrize(
    ("form", "file"),
    [
        (beside, "epoch_3.pt"),
        (beside, CONFIG),
        (beside, TOKENIZER),
        (beside, "config.json"),
        (named, f"base/{CONFIG}"),
        (named, f"base/{TOKENIZER}"),
        (folder, "model.safetensors"),
        (folder, CONFIG),
        (folder, f"words/{TOKENIZER}"),
        (path_in_config, f"text/words/{TOKENIZER}"),
        (pair, TOKENIZER),
        (pair, "timm/ViT-B-16-SigLIP/spiece.model"),
        (address, CONFIG),
        (address, TOKENIZER),
    ],
)
def test_an_edited_file_gives_the_model_another_digest(tmp_path: Path, form: Form, file: str) -> None:
    model = form(tmp_path)
    before = fingerprint(model, [], None)
    assert fingerprint(model, [], None) == before

    state = (tmp_path / file).stat()
    os.utime(tmp_path / file, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))  # of an edit that keeps the length

    assert fingerprint(model, [], None) != before


@pytest.mark.parametrize(
    ("form", "file"),
    [(beside, "merges.txt"), (named, "base/special_tokens_map.json"), (pair, "vocab.txt"), (folder, "words/vocab.txt")],
)
def test_a_part_of_the_tokenizer_that_is_added_gives_it_another_digest(tmp_path: Path, form: Form, file: str) -> None:
    model = form(tmp_path)
    before = fingerprint(model, [], None)

    write(tmp_path / file)

    assert fingerprint(model, [], None) != before


def test_what_a_training_writes_beside_the_checkpoint_gives_the_same_digest(tmp_path: Path) -> None:
    """A log grows with each step: the model would be built anew each time."""
    model = folder(tmp_path)
    before = fingerprint(model, [], None)

    write(tmp_path / "out.log")
    write(tmp_path / "tensorboard" / "events.out.tfevents.1")

    assert fingerprint(model, [], None) == before


def test_a_config_that_is_none_does_not_end_the_question(tmp_path: Path) -> None:
    weights = write(tmp_path / "epoch_3.pt")
    for content in ("{", "[]", '{"model_cfg": []}', '{"model_cfg": {"text_cfg": {"hf_tokenizer_name": 3}}}'):
        (tmp_path / CONFIG).write_text(content)
        assert len(fingerprint(own(weights), [], None)) == 64  # what is wrong with it, the build says
