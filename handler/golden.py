"""Compare loaded models with the golden vectors: what open_clip computed from the same samples at build."""

import base64
import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from handler.manifest import Golden, Manifest, ModelEntry, changed_files
from handler.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from handler.models import LoadedModel, Models

MIN_COSINE = {"fp32": 0.99999, "int8": 0.999}  # to open_clip, by precision


def compare(manifest: Manifest, models: "Models", samples: Golden | None = None) -> dict[str, Any]:
    """Hash every file, then embed each model's golden texts and images. Takes as long as loading every model.

    `samples` replace the golden ones: the builder passes its own, which are too many for a bundle. Returns the report
    of `GET /health?deep=true`; its `ok` is false if anything differs.
    """
    changed, missing = list(changed_files(manifest)), _missing_decoders(manifest)
    reports = [_check_model(entry, models, samples or entry.golden) for entry in manifest.models]
    return {
        "ok": not changed and not missing and all(report["ok"] for report in reports),
        "manifest_sha256": manifest.sha256,
        "changed_files": changed,
        "missing_decoders": missing,
        "models": reports,
    }


def _missing_decoders(manifest: Manifest) -> list[str]:
    if not manifest.image_formats:
        return []
    from handler.imaging.heif_pixels import has_decoder

    return [
        f'image_formats has "{name}", and its decoder is not installed: package the bundle anew; on a workstation, '
        "install requirements.txt"
        for name in manifest.image_formats
        if not has_decoder(name)
    ]


def _check_model(entry: ModelEntry, models: "Models", golden: Golden) -> dict[str, Any]:
    try:
        return {**_compare(models.get(entry.id), golden), **models.engine_facts(entry)}
    except Exception as error:  # noqa: BLE001 - the report is where the error is told
        return {"id": entry.id, "ok": False, "error": f"{type(error).__name__}: {error}"}


def _compare(model: "LoadedModel", golden: Golden) -> dict[str, Any]:
    import numpy as np

    ids = model.engine.tokenize(golden.texts)
    texts = model.engine.encode_tokens(ids)
    pixels = np.stack([_pixels(image, model) for image in golden.images])
    images = model.engine.encode_images(pixels)
    text_cosine = _lowest_cosine(texts, golden.text_embeddings)
    image_cosine = _lowest_cosine(images, golden.image_embeddings)
    own = _compare_own(model, golden) if model.own else {}
    ids_equal = ids.tolist() == golden.token_ids
    if golden.tokenized_texts:
        from handler.engines.mapped_words import MappedWords  # late: only the build's gate has such texts

        MappedWords.most_new = sys.maxsize  # so that every word is encoded by the mapped vocabulary, and compared
        ids_equal = ids_equal and model.engine.tokenize(golden.tokenized_texts).tolist() == golden.tokenized_ids
    least = MIN_COSINE[model.entry.precision]
    return {
        "id": model.entry.id,
        "ok": ids_equal and text_cosine >= least and image_cosine >= least,
        "token_ids_equal": ids_equal,
        "min_text_cosine": text_cosine,
        "min_image_cosine": image_cosine,
        "required_cosine": least,
        "texts": len(golden.texts),
        "images": len(golden.images),
        "load_seconds": round(model.load_seconds, 3),
        "error": None,
        **own,
    }


def _compare_own(model: "LoadedModel", golden: Golden) -> dict[str, Any]:
    """Measure how far the deployment's own preprocessing moves the embeddings of the samples from open_clip's.

    No cosine is required: it only has to run on the samples. `_compare` checks the bundle without it.
    """
    import numpy as np

    assert model.own is not None  # noqa: S101 - for mypy
    texts = model.engine.encode_tokens(model.engine.tokenize([model.own.text(text) for text in golden.texts]))
    images = model.engine.encode_images(np.stack([_pixels(image, model, own=True) for image in golden.images]))
    return {
        "own_preprocessing": model.own.changes,
        "min_text_cosine_with_own_preprocessing": _lowest_cosine(texts, golden.text_embeddings),
        "min_image_cosine_with_own_preprocessing": _lowest_cosine(images, golden.image_embeddings),
    }


def _pixels(encoded: str, model: "LoadedModel", own: bool = False) -> "NDArray[np.float32]":
    """Return the pixels of a PNG or JPEG, decoded and resized as those of requests are: float32 [3, H, W].

    The deployment's own preprocessing runs only if `own` is set.
    """
    data = base64.b64decode(encoded)
    if own or data.startswith(b"\xff\xd8"):
        from handler.imaging.decode import decode_for

        decoded = decode_for(data, Settings().max_image_pixels, False, model.fit)
        return model.pixels(decoded) if own else model.preprocess.of(decoded)
    from PIL import Image

    from handler.imaging.reduced import Decoded

    image = Image.open(io.BytesIO(data), formats=["PNG"])
    return model.preprocess.of(Decoded(image, image.size, (0, 0, *image.size)))


def _lowest_cosine(embeddings: "NDArray[np.float32]", golden: Sequence[str]) -> float:
    """Return the lowest cosine of all: -1 where a vector has no direction, since a comparison with NaN says nothing."""
    import numpy as np

    expected = np.stack([np.frombuffer(base64.b64decode(vector), "<f4") for vector in golden]).astype(np.float64)
    found = embeddings.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        cosines = (found * expected).sum(axis=1)
    return float(np.nan_to_num(cosines, nan=-1.0).min())
