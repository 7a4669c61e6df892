"""`python -m layer evaluate`: what the command line adds to models.toml."""

from pathlib import Path
from typing import Any

import pytest

from layer.cli.parser import main
from layer.errors import EvaluationError
from layer.gate.settings import Evaluation
from layer.quality import evaluate
from layer.quality.data import Data


@pytest.mark.parametrize(("given", "used"), [([], "of a {}"), (["a {}", "the {}"], "a {}, the {}")])
def test_a_template_of_the_command_line_is_used_with_the_images_of_models_toml(
    given: list[str], used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def data_of(asked: Evaluation, *_: Any) -> list[Data]:
        raise EvaluationError(f"{asked.labels}: {', '.join(asked.templates)}")

    monkeypatch.setattr(evaluate, "data_of", data_of)
    toml = tmp_path / "models.toml"
    toml.write_text('[[model]]\nname = "hf-hub:acme/clip"\n[evaluate]\nlabels = "mine"\ntemplate = "of a {}"\n')
    options = [f"--template={one}" for one in given]

    assert main(["evaluate", "--models", str(toml), "--cache", str(tmp_path / "cache"), *options]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'mine'}: {used}\n"
