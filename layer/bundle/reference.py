"""What open_clip itself says of a model: its facts, and reference token ids and embeddings.

Runs as a process of its own (`python -m layer.bundle.reference`): huggingface_hub reads the offline variables once.
"""

import base64
import io
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from console.parser import Parser
from console.run import run_step
from layer.bundle import sandbox
from layer.bundle.golden_texts import TEXTS, TOKENIZED
from layer.bundle.manifest import parse
from layer.bundle.records import Golden, ModelFacts, Preprocess, Tokenizer, as_json
from layer.errors import GoldenError

MAX_SPECIAL = 16
SIMPLE_VOCABULARY = 49408  # CLIPTextCfg's default


@dataclass(frozen=True)
class Loaded:
    """A model in open_clip's hands, with its own transform and tokenizer."""

    model: Any
    transform: Any
    tokenizer: Any


def compute(name: str, pretrained: str | None, hub: Path) -> ModelFacts:
    """Ask open_clip, offline, with `hub` as its cache. Raises GoldenError with what open_clip said."""
    command = ["-m", "layer.bundle.reference", "--name", name, *(["--pretrained", pretrained] if pretrained else [])]
    run = sandbox.run_with_hub(hub, command)
    if run.returncode != 0:
        reason = sandbox.reason(run, hub)
        if message := sandbox.own_message(reason):
            raise GoldenError(f"{name.removeprefix('hf-hub:')}: {message}")
        raise GoldenError(f"open_clip cannot load {name} offline from {hub}: {reason}: check its weights, config")
    return parse(ModelFacts, run.stdout)


def images() -> list[Image.Image]:
    """Draw what is embedded: a wide RGB gradient with noise, a tall opaque RGBA one, and one with a palette.

    Opaque, because of transparent images open_clip embeds the hidden colors, and the handler what is seen.
    """
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 96)[None, :, None] + np.zeros((40, 1, 3))
    wide = Image.fromarray((ramp * [1.0, 0.6, 0.3] + rng.uniform(0, 50, ramp.shape)).astype(np.uint8))
    tall = Image.fromarray(rng.integers(0, 256, (70, 30, 4), dtype=np.uint8), "RGBA")
    tall.putalpha(255)
    palette = wide.resize((48, 48)).quantize(16)
    return [wide, tall, palette]


def facts(name: str, loaded: Loaded) -> ModelFacts:
    """Return what the manifest says of a model, golden token ids and embeddings among it."""
    model = loaded.model
    bias = model.logit_bias
    tokenizer = _tokenizer_facts(name, loaded.tokenizer)
    golden = embed(loaded, list(TEXTS), images())
    return ModelFacts(
        embed_dim=len(base64.b64decode(golden.text_embeddings[0])) // 4,
        image_size=_pair(model.visual.preprocess_cfg["size"]),
        context_length=len(golden.token_ids[0]),
        logit_scale=float(model.logit_scale.exp()),
        logit_bias=None if bias is None else float(bias),
        preprocess=preprocess_facts(model.visual.preprocess_cfg),
        tokenizer=tokenizer,
        golden=golden,
    )


def load(name: str, pretrained: str | None) -> Loaded:
    """Load a model by open_clip itself, with its weights or not at all."""
    from layer.openclip import open_clip

    with patch("torch.jit.load", _refuse_code):
        model, transform = open_clip.create_model_from_pretrained(name, pretrained=pretrained)
    return Loaded(model.eval(), transform, open_clip.get_tokenizer(name))


def _refuse_code(*_: Any, **__: Any) -> Any:
    raise GoldenError("the weights are a TorchScript archive, whose code is never run: name the file as `checkpoint`")


def embed(loaded: Loaded, texts: list[str], images: Sequence[Image.Image | bytes]) -> Golden:
    """Embed texts and images or their files by open_clip itself, in the manifest's form: unit length, float32."""
    import torch

    ids = loaded.tokenizer(texts)
    _refuse_unknown_ids(loaded.model, ids)
    _refuse_no_end(loaded.model, ids)
    tokenized = tokenized_texts(loaded)
    with torch.inference_mode():
        encoded = [loaded.model.encode_text(row[None], normalize=True)[0] for row in ids]
        shown = (Image.open(io.BytesIO(image)) if isinstance(image, bytes) else image for image in images)
        seen = [loaded.model.encode_image(loaded.transform(image)[None], normalize=True)[0] for image in shown]
    _refuse_no_vectors(loaded.model, [*encoded, *seen])
    return Golden(
        texts=texts,
        token_ids=ids.tolist(),
        text_embeddings=[_base64(vector.float().numpy()) for vector in encoded],
        images=[base64.b64encode(i).decode() if isinstance(i, bytes) else png(i) for i in images],
        image_embeddings=[_base64(vector.float().numpy()) for vector in seen],
        tokenized_texts=tokenized,
        tokenized_ids=loaded.tokenizer(tokenized).tolist(),
    )


def _refuse_unknown_ids(model: Any, ids: Any) -> None:
    size, highest = _vocabulary(model), int(ids.max())
    if size and highest >= size:
        raise GoldenError(
            f"the tokenizer gives token {highest}, the text tower knows {size}: set text_cfg.hf_tokenizer_name"
        )


def _refuse_no_vectors(model: Any, vectors: Sequence[Any]) -> None:
    """Raise GoldenError for vectors with NaN or without length, as after training that diverged."""
    if all(bool(vector.isfinite().all()) and float(vector.norm()) > 0.5 for vector in vectors):  # 1 is meant
        return
    spoiled = [key for key, one in model.state_dict().items() if one.is_floating_point() and not one.isfinite().all()]
    cause = f"{len(spoiled)} of its tensors have NaN or infinity ({spoiled[0]})" if spoiled else "NaN, or length 0"
    raise GoldenError(
        f"open_clip itself computes no embeddings with these weights: {cause}: take a checkpoint from before training "
        "diverged, or convert it again"
    )


def _vocabulary(model: Any) -> int | None:
    """Return the number of tokens that a text tower knows, None where open_clip does not say."""
    return getattr(model, "vocab_size", None) or getattr(getattr(model, "text", None), "vocab_size", None)


def _refuse_no_end(model: Any, ids: Any) -> None:
    """Raise GoldenError if a text has no end-of-text token: the tower would silently pool at its first token."""
    part = model if hasattr(model, "text_pool_type") else getattr(model, "text", None)
    pool = getattr(part, "text_pool_type", None) or getattr(part, "pool_type", None)
    end = getattr(part, "text_eos_id", None) or getattr(part, "eos_id", None)
    if pool == "eos" and not bool((ids == end).any(dim=1).all()):
        raise GoldenError(
            f"no text has the text tower's end, token {end}: set text_cfg.eos_id to the tokenizer's end-of-text token"
        )


def tokenized_texts(loaded: Loaded) -> list[str]:
    """Return texts on which each option of a tokenizer shows: its own special tokens, and lengths about its limit."""
    length, inner = loaded.tokenizer.context_length, getattr(loaded.tokenizer, "tokenizer", None)
    if inner is None:
        special = list(special_tokens(loaded.tokenizer))
    else:
        known = _vocabulary(loaded.model) or len(inner)  # T5's <extra_id_0> is beyond SigLIP's table
        special = [token for token, number in inner.added_tokens_encoder.items() if number < known]
    marked = [f"a photo of {token} here,{token}{token.upper()}x{token}" for token in special[:MAX_SPECIAL]]
    cut = [" ".join(["a"] * count) for count in range(max(1, length - 4), length + 2)]
    return [*TOKENIZED, *marked, *(f"{' '.join(['a'] * (length - 3))} {token}" for token in special[:3]), *cut]


def preprocess_facts(config: dict[str, Any]) -> Preprocess:
    """Return preprocessing with the defaults that open_clip.transform.image_transform fills in, spelled out."""
    from layer.openclip import open_clip

    facts = {key: config[key] for key in ("mean", "std", "interpolation", "resize_mode", "fill_color")}
    for key, default in (("mean", open_clip.OPENAI_DATASET_MEAN), ("std", open_clip.OPENAI_DATASET_STD)):
        value = facts[key] or default
        facts[key] = list(value) if isinstance(value, list | tuple) else [value] * 3
    facts["interpolation"] = "bilinear" if facts["interpolation"] == "bilinear" else "bicubic"  # "random" is training's
    facts["resize_mode"] = facts["resize_mode"] or "shortest"
    return Preprocess(**facts)


def _tokenizer_facts(name: str, tokenizer: Any) -> Tokenizer:
    from layer.openclip import open_clip

    text = open_clip.factory.get_model_config(name)["text_cfg"]
    from_hub = isinstance(tokenizer, open_clip.tokenizer.HFTokenizer)
    if not from_hub and not isinstance(tokenizer, open_clip.tokenizer.SimpleTokenizer):
        raise GoldenError(f"{name} has a {type(tokenizer).__name__}, which is not exported: set hf_tokenizer_name")
    if from_hub and tokenizer.tokenizer.pad_token_id is None:
        raise GoldenError(
            f"the tokenizer of {name} has no padding: set tokenizer_kwargs.pad_token to one of its tokens"
        )
    cleaners = {open_clip.tokenizer.get_clean_fn(clean): clean for clean in ("whitespace", "lower", "canonicalize")}
    if not from_hub and max(special_tokens(tokenizer).values()) >= text.get("vocab_size", SIMPLE_VOCABULARY):
        raise GoldenError(
            f"the tokenizer of {name} has {tokenizer.vocab_size} tokens: set text_cfg.vocab_size as it was in training"
        )
    return Tokenizer(
        kind="hf" if from_hub else "simple",
        repo=text.get("hf_tokenizer_name") if from_hub else None,
        context_length=tokenizer.context_length,
        clean=cleaners[tokenizer.clean_fn],
        strip_sep_token=bool(getattr(tokenizer, "strip_sep_token", False)),
        mode=getattr(tokenizer, "tokenizer_mode", None) or None,
        pad_id=int(tokenizer.tokenizer.pad_token_id) if from_hub else 0,
    )


def special_tokens(tokenizer: Any) -> dict[str, int]:
    """Return the special tokens of open_clip's own tokenizer with their ids, its two and the config's."""
    return {tokenizer.decoder[number]: int(number) for number in tokenizer.all_special_ids}


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def _base64(vector: "np.ndarray[Any, np.dtype[np.float32]]") -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def png(image: Image.Image) -> str:
    """Return the image as PNG, in base64."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the facts of one model as JSON; returns the exit status."""
    return run_step(lambda: _command(arguments))


def _command(given: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m layer.bundle.reference", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--pretrained")
    arguments = parser.parse_args(given)
    logging.disable(logging.WARNING)  # stderr's last line is the reason of a failure
    json.dump(as_json(facts(arguments.name, load(arguments.name, arguments.pretrained))), sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
