"""Drawn images, embedded by a batch, indexed, and asked for in English and in Chinese: the demo model finds them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from layer.demo.captions import LANGUAGES
from layer.demo.shapes import THINGS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, demo_bundle: Path) -> Any:
    root = tmp_path_factory.mktemp("search")
    environ = {
        **os.environ,
        "OPENCLIP_BUNDLE_DIR": str(demo_bundle),
        "OPENCLIP_CACHE_DIR": str(root / "cache"),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, str(Path(__file__).with_name("search_probe.py")), str(root)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_four_of_a_caption_show_it(found: Any, language: str) -> None:
    right = [name == wanted for wanted, names in found[language].items() for name in names]
    assert len(right) == 4 * len(THINGS) // 2
    assert sum(right) / len(right) >= 0.95


def test_an_image_finds_its_like_and_a_sum_leads_elsewhere(found: Any) -> None:
    assert found["image"][0] == "red-circle"
    assert found["sum"].count("blue-circle") >= 3, found["sum"]
