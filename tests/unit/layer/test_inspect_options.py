"""`python -m layer inspect` looks at a bundle or at a models.toml: an option for the other one is not passed over."""

from pathlib import Path

import pytest

from layer.cli.parser import main


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--models", "models.toml", "--bundle", "mine"], "give one of the two"),
        (["--bundle", "mine", "--models"], "give one of the two"),
        (["--from", "."], "add --models <models.toml>, or leave --from out"),
        (["--bundle", "mine", "--from", "."], "add --models <models.toml>, or leave --from out"),
    ],
)
def test_options_of_which_one_would_do_nothing_are_refused(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models.toml").write_text('[[model]]\nname = "hf-hub:a/b"\n')
    monkeypatch.chdir(tmp_path)

    assert main(["inspect", *arguments]) == 1
    assert says in capsys.readouterr().err
