"""A finished model of one's own is taken at once where no file that it was made of has been edited since."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from layer.sources import own_state
from layer.sources.lock import LockedSource
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


def made(model: ModelSpec, cache: Path, revision: str = "a" * 40) -> list[LockedSource]:
    """What a build records and locks of a model's files as they are now."""
    own_state.place(model, cache).mkdir(parents=True, exist_ok=True)
    own_state.record(model, cache, own_state.state(model), revision)
    return [LockedSource("acme/own", None, revision, ("checkpoint", "weights"), None, {})]


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
def test_an_edited_file_is_noticed(tmp_path: Path, form: Form, file: str) -> None:
    model = form(tmp_path)
    sources = made(model, tmp_path / "cache")
    assert own_state.unchanged(model, tmp_path / "cache", sources)

    state = (tmp_path / file).stat()
    os.utime(tmp_path / file, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))  # of an edit that keeps the length

    assert not own_state.unchanged(model, tmp_path / "cache", sources)


@pytest.mark.parametrize(
    ("form", "file"),
    [(beside, "merges.txt"), (named, "base/special_tokens_map.json"), (pair, "vocab.txt"), (folder, "words/vocab.txt")],
)
def test_a_part_of_the_tokenizer_that_is_added_is_noticed(tmp_path: Path, form: Form, file: str) -> None:
    model = form(tmp_path)
    sources = made(model, tmp_path / "cache")

    write(tmp_path / file)

    assert not own_state.unchanged(model, tmp_path / "cache", sources)


def test_what_a_training_writes_beside_the_checkpoint_is_no_change(tmp_path: Path) -> None:
    """A log grows with each step: the model would be built anew each time."""
    model = folder(tmp_path)
    sources = made(model, tmp_path / "cache")

    write(tmp_path / "out.log")
    write(tmp_path / "tensorboard" / "events.out.tfevents.1")

    assert own_state.unchanged(model, tmp_path / "cache", sources)


def test_another_address_or_config_and_a_lock_of_another_checkpoint_are_noticed(tmp_path: Path) -> None:
    """models.lock has commits and hashes, and no address; it may come from git, of a build with other weights."""
    model, cache = address(tmp_path), tmp_path / "cache"
    sources = made(model, cache)
    others = [replace(model, checkpoint="https://example.com/epoch_4.pt"), replace(model, config=PAIR)]

    assert own_state.unchanged(model, cache, sources)
    assert not any(own_state.unchanged(other, cache, sources) for other in others)
    assert not own_state.unchanged(model, cache, [replace(sources[0], revision="b" * 40)])
    assert not own_state.unchanged(model, cache, [])


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[[], 3, 4]"])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    model = beside(tmp_path)
    sources = made(model, tmp_path / "cache")
    (own_state.place(model, tmp_path / "cache") / "state.json").write_text(text)

    assert not own_state.unchanged(model, tmp_path / "cache", sources)


def test_a_config_that_is_none_does_not_end_the_question(tmp_path: Path) -> None:
    weights = write(tmp_path / "epoch_3.pt")
    for content in ("{", "[]", '{"model_cfg": []}', '{"model_cfg": {"text_cfg": {"hf_tokenizer_name": 3}}}'):
        (tmp_path / CONFIG).write_text(content)
        assert own_state.state(own(weights))  # what is wrong with it, the build says
