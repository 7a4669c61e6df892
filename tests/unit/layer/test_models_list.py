"""`python -m layer models` says what models.toml names, and what is known of each before a build."""

from pathlib import Path

import pytest

from layer.cli.parser import main
from layer.sources import lock

SPEC = '[[model]]\nname = "hf-hub:acme/clip"\n[[model]]\nname = "ViT-B-32"\npretrained = "openai"\n'


def source(repo: str, license: str | None) -> lock.LockedSource:
    return lock.LockedSource(repo, None, "a" * 40, ("weights",), license, {})


def test_licenses_are_those_that_the_hub_stated_at_the_last_build(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models.toml").write_text(SPEC)
    pins: lock.Lock = {"acme/clip": (source("acme/clip", "cc-by-nc-4.0"), source("acme/tower", None))}
    lock.write(tmp_path / "models.lock", pins)

    assert main(["models", "--models", str(tmp_path / "models.toml")]) == 0

    header, clip, vit = capsys.readouterr().out.splitlines()
    assert header.split() == ["model", "engine", "precision", "revision", "license"]
    assert clip.endswith("cc-by-nc-4.0, not stated")
    assert vit.endswith("known once built")
