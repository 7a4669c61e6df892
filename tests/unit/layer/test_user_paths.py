"""`~` is the user's home wherever no shell has put it in: in models.toml, in a CSV, behind the `=` of --from."""

from pathlib import Path

import pytest
from PIL import Image

from layer.files.project import left_behind
from layer.quality import reading
from layer.sources.prepared import places
from layer.spec import read_spec

SPEC = """
cache = "~/hub"
[[model]]
name = "acme/mine"
checkpoint = "~/runs/last.pt"
config = "~/runs/open_clip_config.json"
cache = "acme/tokenizer=~/tokenizer"
[evaluate]
pairs = "~/captions.csv"
labels = "~/classes"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "hub").mkdir(parents=True)
    return tmp_path / "home"


def test_every_path_in_models_toml_may_begin_at_home(home: Path, tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(SPEC)

    spec = read_spec(tmp_path / "models.toml")

    [model] = spec.models
    assert spec.cache == str(home / "hub")
    assert model.checkpoint == str(home / "runs" / "last.pt")
    assert model.config == str(home / "runs" / "open_clip_config.json")
    assert model.cache == f"acme/tokenizer={home}/tokenizer"
    assert spec.evaluation is not None
    assert (spec.evaluation.pairs, spec.evaluation.labels) == (home / "captions.csv", home / "classes")
    assert left_behind(tmp_path / "models.toml") == [], "a project elsewhere finds them as well"


@pytest.mark.parametrize("text", ["~/hub", "acme/tiny=~/hub", "https://huggingface.co/acme/tiny?x=1=~/hub"])
def test_a_source_may_begin_at_home(home: Path, text: str) -> None:
    assert places.given(text, "--from").path == home / "hub"
    assert places.folder_of(text) == home / "hub"


def test_an_image_of_a_table_may_begin_at_home(home: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(home / "one.png")
    (tmp_path / "captions.csv").write_text("image,caption\n~/one.png,a square\n")

    assert reading.pairs(tmp_path / "captions.csv").images == (home / "one.png",)


def test_a_user_who_is_not_there_is_a_name_like_any_other(home: Path, tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text('cache = "~nobody-here/hub"\n[[model]]\nname = "hf-hub:a/b"\n')

    assert read_spec(tmp_path / "models.toml").cache == str(tmp_path / "~nobody-here" / "hub")
