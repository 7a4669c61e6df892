"""The embedded demo model: open_clip itself loads it offline, and it knows what its card says it knows."""

import json
import os
import re
import subprocess
import sys
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from layer.demo.snapshot import HUB, revision_of

ROOT = Path(__file__).parents[2]
REPOSITORY = HUB / "models--openclip-lambda--shapes-i18n"
ROW = {"en": "English", "zh": "Chinese"}


@pytest.fixture(scope="module")
def probe() -> Any:
    """Return what the embedded model said in a fresh process that has no network."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(HUB), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("demo_probe.py"))],
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def snapshot() -> Path:
    return REPOSITORY / "snapshots" / (REPOSITORY / "refs" / "main").read_text()


@pytest.mark.parametrize("language", ROW)
def test_it_names_images_it_has_never_seen(probe: Any, language: str) -> None:
    assert probe["zero_shot"][language] >= 0.98


@pytest.mark.parametrize("language", ROW)
def test_the_card_says_what_is_measured_again(probe: Any, snapshot: Path, language: str) -> None:
    card = (snapshot / "README.md").read_text(encoding="utf-8")
    row = re.search(rf"\| {ROW[language]} \| ([\d.]+)% \| ([\d.]+)% \|", card)
    assert row, "the card has no row of figures for this language"
    for said, measured, count in (
        (float(row[1]) / 100, probe["zero_shot"][language], probe["images"]),
        (float(row[2]) / 100, probe["binding"][language], probe["pair_images"]),
    ):
        assert measured == pytest.approx(said, abs=0.005 + 4 * sqrt(said * (1 - said) / count))
    assert f"{probe['parameters']:,} parameters" in card


def test_it_has_the_anatomy_of_siglip(probe: Any, snapshot: Path) -> None:
    model = json.loads((snapshot / "open_clip_config.json").read_text())["model_cfg"]
    assert probe["tower"] == "CustomTextCLIP"
    assert probe["logit_bias"] < 0
    assert model["init_logit_bias"] == -10
    assert model["text_cfg"]["hf_tokenizer_name"] == "openclip-lambda/shapes-i18n"
    assert model["text_cfg"]["tokenizer_kwargs"] == {"clean": "canonicalize"}
    assert model["text_cfg"]["no_causal_mask"] is True
    assert model["text_cfg"]["pool_type"] == "last"


def test_any_text_has_token_ids_and_canonicalize_is_at_work(probe: Any) -> None:
    *odd, shouted, plain = probe["token_ids"]
    assert all(len(ids) == 32 for ids in [*odd, plain])
    assert all(0 <= token < 2**16 for ids in odd for token in ids)
    assert probe["odd_texts_finite"]
    assert shouted == plain


def test_it_is_a_hugging_face_cache_of_real_files_in_at_most_5_mb(snapshot: Path) -> None:
    files = [path for path in REPOSITORY.rglob("*") if not path.is_dir()]
    assert not [path for path in files if path.is_symlink()]
    assert sum(path.stat().st_size for path in files) <= 5_000_000
    assert re.fullmatch(rb"[0-9a-f]{40}", (REPOSITORY / "refs" / "main").read_bytes()), "no newline at the end either"
    assert {"open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json", "README.md"} <= {
        path.name for path in snapshot.iterdir()
    }


def test_the_revision_is_that_of_the_content(snapshot: Path) -> None:
    assert snapshot.name == revision_of(snapshot)
