"""Which models.toml a command reads: the one in the working directory only where `--models` names it."""

from pathlib import Path

import pytest

from layer.cli.parser import main
from layer.spec import DEFAULT_SPEC

OWN = '[[model]]\nname = "ViT-B-32"\npretrained = "laion2b_s34b_b79k"\n'
NOTE = f"note: {DEFAULT_SPEC} is read, and not models.toml of this directory: for that, add --models models.toml\n"


@pytest.mark.parametrize(
    ("options", "listed", "told"),
    [([], "shapes-i18n", NOTE), (["--models", "models.toml"], "ViT-B-32/laion2b_s34b_b79k", "")],
)
def test_a_models_toml_that_is_not_read_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    listed: str,
    told: str,
) -> None:
    """Without the note, the bundle of one's own project is replaced by one of the demo model."""
    monkeypatch.chdir(tmp_path)
    Path("models.toml").write_text(OWN)

    assert main(["models", *options]) == 0

    printed = capsys.readouterr()
    assert listed in printed.out
    assert printed.err == told


def test_where_there_is_no_other_models_toml_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (tmp_path, DEFAULT_SPEC.parent):
        monkeypatch.chdir(folder)
        assert main(["models"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "command", [["build"], ["fetch", "--output", "out"], ["inspect", "--models"], ["evaluate"], ["init", "project"]]
)
def test_every_command_that_reads_one_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "no address")  # which most commands look at next
    Path("models.toml").write_text(OWN)
    Path("project").mkdir()
    Path("project", "mine").touch()

    assert main(command) == 1

    assert NOTE in capsys.readouterr().err


@pytest.mark.parametrize("command", [["build"], ["models"], ["models", "--family", "ViT-B-32"]])
def test_a_source_that_is_not_there_is_told_also_where_it_is_not_needed(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path with a slip of the pen passed unnoticed where every model was built already."""
    monkeypatch.setattr("layer.build.build", lambda *_: {"ok": True, "models": []})  # nothing to do

    assert main([*command, "--from", str(tmp_path / "modle_cache")]) == 1
    assert f"--from: {tmp_path / 'modle_cache'} is not there" in capsys.readouterr().err
