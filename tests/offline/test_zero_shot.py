"""Classification and similarity give the numbers of open_clip's own zero-shot classifier."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def probe(demo_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what the handler and open_clip said in a fresh process."""
    cache = tmp_path_factory.mktemp("zero-shot")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("zero_shot_probe.py")), str(demo_bundle)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENCLIP_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_labels_are_scored_as_open_clip_s_zero_shot_classifier_scores_them(probe: Any, activation: str) -> None:
    answer = probe[f"handler_{activation}"]
    found = [[row["score"] for row in item["predictions"]] for item in answer["data"]]

    np.testing.assert_allclose(found, probe[activation], atol=2e-5)
    assert answer["activation"] == activation
    labels = [row["label"] for row in answer["data"][0]["predictions"]]
    best = [labels[index] for index in np.argmax(probe[activation], axis=1)]
    assert [item["prediction"] for item in answer["data"]] == best


def test_similarity_is_open_clip_s_cosine_of_every_image_with_every_text(probe: Any) -> None:
    np.testing.assert_allclose(probe["handler_similarity"]["scores"], probe["cosines"], atol=1e-5)
