"""Asks the embedded model about freshly drawn images, through open_clip alone, and prints one JSON object.

A process of its own, since the hub library reads its variables at import.
"""

import json
import socket
from typing import Any

import torch
from PIL import Image

from layer.demo import rendering
from layer.demo.captions import LANGUAGES, caption
from layer.demo.shapes import THINGS, swapped
from layer.openclip import open_clip

NAME = "hf-hub:openclip-lambda/shapes-i18n"
SEED, SINGLES, TWINS = 2, 1280, 320
ODD_TEXTS = ["", "🎈", "мяч", "a" * 500, "<0x41></s><pad>", "\x00\u200b", "A Photo of a RED circle!"]


def no_network(*_: object) -> None:
    """Stand in for socket.connect."""
    raise AssertionError("the embedded model reached for the network")


socket.socket.connect = no_network  # type: ignore[method-assign]

model, preprocess = open_clip.create_model_from_pretrained(NAME)
tokenizer = open_clip.get_tokenizer(NAME)
model.eval()


def images(drawn: list[Image.Image]) -> Any:
    return model.encode_image(torch.stack([preprocess(image) for image in drawn]), normalize=True)


def texts(captions: list[str]) -> Any:
    return model.encode_text(tokenizer(captions), normalize=True)


def share(hits: Any) -> float:
    return float(hits.double().mean())


with torch.inference_mode():
    singles = [rendering.single(SEED, number) for number in range(SINGLES)]
    truth = torch.tensor([THINGS.index(scene[0]) for _, scene in singles])
    seen = images([image for image, _ in singles])
    pairs = [pair_image for number in range(TWINS) for pair_image in rendering.twins(SEED, number)]
    seen_pairs = images([image for image, _ in pairs])
    zero_shot, binding = {}, {}
    for language in LANGUAGES:
        classes = texts([caption([thing], language) for thing in THINGS])
        zero_shot[language] = share((seen @ classes.T).argmax(dim=1) == truth)
        right = texts([caption(scene, language) for _, scene in pairs])
        wrong = texts([caption(swapped((scene[0], scene[1])), language) for _, scene in pairs])
        binding[language] = share((seen_pairs * right).sum(dim=1) > (seen_pairs * wrong).sum(dim=1))
    odd = texts(ODD_TEXTS)

print(
    json.dumps(
        {
            "zero_shot": zero_shot,
            "images": SINGLES,
            "binding": binding,
            "pair_images": 2 * TWINS,
            "odd_texts_finite": bool(odd.isfinite().all()),
            "token_ids": tokenizer([*ODD_TEXTS, "a photo of a red circle"]).tolist(),
            "logit_bias": float(model.logit_bias),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "tower": type(model).__name__,
        }
    )
)
