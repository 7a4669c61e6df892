"""The plain recipe: what a reader of open_clip's README puts into a lambda_function.py. Offline, fp32, eager."""

import io
import os
from typing import Any

from layer.openclip import open_clip  # `import open_clip`, where torchvision's binary does not load either

import torch  # isort: skip
from PIL import Image

NAME, TAG = os.environ["BENCH_NAME"], os.environ["BENCH_TAG"]

model, _, preprocess = open_clip.create_model_and_transforms(NAME, pretrained=TAG)
model.eval()
tokenizer = open_clip.get_tokenizer(NAME)


def embed(images: list[bytes], texts: list[str]) -> list[Any]:
    """Return unit-length embeddings of images, then of texts, as lists of numbers."""
    vectors: list[Any] = []
    with torch.no_grad():
        if images:
            pixels = torch.stack([preprocess(Image.open(io.BytesIO(image))) for image in images])
            vectors += model.encode_image(pixels, normalize=True).tolist()
        if texts:
            vectors += model.encode_text(tokenizer(texts), normalize=True).tolist()
    return vectors
