"""Compare what this code computes with what open_clip computed at build: the deep health check, and the builder's.

`python -m handler.selfcheck --bundle DIR` prints one JSON document and exits with 1 when anything differs.
"""

import argparse
import base64
import io
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from handler.manifest import Golden, Manifest, ModelEntry
    from handler.model import LoadedModel, Models

MIN_COSINE = {"fp32": 0.99999, "int8": 0.999}  # to open_clip, by precision


def run(manifest: "Manifest", models: "Models", samples: "Golden | None" = None) -> dict[str, Any]:
    """Hash every file, then embed each model's golden texts and pictures. Takes as long as loading every model.

    `samples` replace the golden ones: the builder's, of which there are more than a bundle should carry.
    """
    from handler.manifest import changed_files

    changed = list(changed_files(manifest))
    reports = [_check_model(entry, models, samples or entry.golden) for entry in manifest.models]
    return {
        "ok": not changed and all(report["ok"] for report in reports),
        "manifest_sha256": manifest.sha256,
        "changed_files": changed,
        "models": reports,
    }


def _check_model(entry: "ModelEntry", models: "Models", golden: "Golden") -> dict[str, Any]:
    try:
        return _compare(models.get(entry.id), golden)
    except Exception as error:  # noqa: BLE001 - the report is where the error is told
        return {"id": entry.id, "ok": False, "error": f"{type(error).__name__}: {error}"}


def _compare(model: "LoadedModel", golden: "Golden") -> dict[str, Any]:
    import numpy as np

    ids = model.engine.tokenize(golden.texts)
    texts = model.engine.encode_tokens(ids)
    pixels = np.stack([model.preprocess(_picture(image)) for image in golden.images])
    images = model.engine.encode_images(pixels)
    text_cosine = _lowest_cosine(texts, golden.text_embeddings)
    image_cosine = _lowest_cosine(images, golden.image_embeddings)
    ids_equal = ids.tolist() == golden.token_ids
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
    }


def _picture(encoded: str) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(encoded)), formats=["PNG"])


def _lowest_cosine(embeddings: "NDArray[np.float32]", golden: Sequence[str]) -> float:
    import numpy as np

    expected = np.stack([np.frombuffer(base64.b64decode(vector), "<f4") for vector in golden]).astype(np.float64)
    found = embeddings.astype(np.float64)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    return float((found * expected).sum(axis=1).min())


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m handler.selfcheck", description=__doc__)
    parser.add_argument("--bundle", help="the bundle's directory (default: OPENCLIP_BUNDLE_DIR)")
    parser.add_argument(
        "--samples", help="a JSON file in the form of the manifest's golden vectors, to be used instead"
    )
    arguments = parser.parse_args()
    if arguments.bundle:
        os.environ["OPENCLIP_BUNDLE_DIR"] = arguments.bundle
    from handler import app  # after the environment: importing it reads the settings

    if arguments.samples:
        from handler.manifest import Golden

        with open(arguments.samples, encoding="utf-8") as stream:  # noqa: PTH123 - pathlib is 5 ms of a cold start
            samples = Golden(**json.load(stream))
        report = run(app.SERVICE.models.manifest, app.SERVICE.models, samples)
    else:
        event = {"version": "2.0", "rawPath": "/health", "rawQueryString": "deep=true"}
        event["requestContext"] = {"http": {"method": "GET", "path": "/health"}}  # type: ignore[assignment]
        report = json.loads(app.lambda_handler(event, None)["body"])
    print(json.dumps(report, indent=1))
    return 0 if report.get("ok") else 1


if __name__ == "__main__":
    sys.exit(_main())
