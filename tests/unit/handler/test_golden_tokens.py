"""The deep health check compares token ids on the texts that show a tokenizer's options, too."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from handler import golden
from handler.manifest import Golden, Manifest
from tests.unit.fake_bundle import as_base64, image_bytes, little_endian


@pytest.mark.parametrize(("made", "equal"), [([[1, 2]], True), ([[1, 3]], False)])
def test_a_tokenizer_that_drops_an_option_is_no_equal(made: list[list[int]], equal: bool) -> None:
    """`made` are the ids that the handler's tokenizer gives for the one text that shows the option."""
    known: dict[str, list[list[int]]] = {"a": [[1, 0]], "a <red>": made}
    engine = SimpleNamespace(
        tokenize=lambda texts: np.array([row for text in texts for row in known[text]]),
        encode_tokens=lambda ids: np.ones((len(ids), 2), np.float32),
        encode_images=lambda pixels: np.ones((len(pixels), 2), np.float32),
    )
    samples = Golden(
        ["a"],
        [[1, 0]],
        [little_endian([1, 1])],
        [as_base64(image_bytes())],
        [little_endian([1, 1])],
        ["a <red>"],
        [[1, 2]],
    )
    entry = SimpleNamespace(id="m", precision="fp32", golden=samples)
    model = SimpleNamespace(
        engine=engine, entry=entry, preprocess=lambda _: np.zeros((3, 2, 2)), load_seconds=0.0, own=None
    )
    models: Any = SimpleNamespace(get=lambda _: model, engine_facts=lambda _: {})

    report = golden.compare(Manifest(Path(), b"", (entry,), ()), models)  # type: ignore[arg-type]

    assert report["models"][0]["token_ids_equal"] is equal
    assert report["ok"] is equal
