"""open_clip itself, in fp32: `python -m layer.quality.open_clip_side` answers each line with a line.

{"texts": [...]} or {"images": [paths]} is answered by {"vectors": [base64 of float32]} of unit length, or by
{"error": {"message": ...}}, as the handler refuses a batch.
"""

import base64
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from console.parser import Parser
from console.run import run_step


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer until standard input ends; returns the exit status."""
    return run_step(lambda: _command(arguments))


def _command(given: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m layer.quality.open_clip_side", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--pretrained")
    arguments = parser.parse_args(given)
    logging.disable(logging.WARNING)  # stderr's last line is the reason of a failure
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    from layer.bundle.reference import load

    loaded = load(arguments.name, arguments.pretrained)
    with answers:
        for line in sys.stdin:
            answers.write(json.dumps(_answer(loaded, json.loads(line))) + "\n")
            answers.flush()


def _answer(loaded: Any, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"vectors": _embed(loaded, request)}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - of a damaged image, Pillow's decoders raise a dozen classes
        return {"error": {"message": f"{type(error).__name__}: {error}"}}


def _embed(loaded: Any, request: dict[str, Any]) -> list[str]:
    import torch
    from PIL import Image

    with torch.inference_mode():
        if "texts" in request:
            rows = loaded.model.encode_text(loaded.tokenizer(request["texts"]), normalize=True)
        else:
            pixels = []
            for path in request["images"]:
                with Image.open(path) as image:
                    pixels.append(loaded.transform(image))
            rows = loaded.model.encode_image(torch.stack(pixels), normalize=True)
    return [base64.b64encode(row.float().numpy().astype("<f4").tobytes()).decode() for row in rows]


if __name__ == "__main__":
    sys.exit(main())
