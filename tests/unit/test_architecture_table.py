"""docs/architecture.md, "To change X, open Y": few files for each change, and all of them there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## To change X, open Y")[2]
ROWS = dict(re.findall(r"^\| (an? [^|]+?|the [^|]+?) \| (.+?) \|$", TEXT.partition("\n## ")[0], re.MULTILINE))
MOST = 5  # files, tests left out


def test_the_typical_changes_are_all_in_the_table() -> None:
    typical = (
        "engine|quantization|route|authentication|tokenizer|image format|metric|finding|command|manifest|shape|emulator"
    )
    assert {word for word in typical.split("|") if not any(word in change for change in ROWS)} == set()


@pytest.mark.parametrize("change", ROWS)
def test_a_change_needs_few_files_and_they_exist(change: str) -> None:
    files = re.sub(r" \(.*?\)", "", ROWS[change])  # an example in a test
    places = re.split(r",(?: and)? | or ", files)
    assert len(places) <= MOST, places
    for path in re.findall(r"`([\w./-]+)`", files):
        assert (ROOT / path).exists(), path
