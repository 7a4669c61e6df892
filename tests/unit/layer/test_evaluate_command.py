"""`python -m layer evaluate`: what the command line adds to models.toml."""

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from layer.bundle import manifest
from layer.bundle.quality_records import Certificate
from layer.cli.parser import main
from layer.errors import EvaluationError
from layer.gate.settings import Evaluation
from layer.quality import evaluate
from layer.quality.data import Data
from layer.quality.evaluate import Result
from tests.unit import manifests


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


@pytest.mark.parametrize(("given", "says"), [([], "add --keep-manifest"), (["--keep-manifest"], "the images are read")])
def test_a_bundle_that_cannot_be_written_is_told_before_minutes_of_work(
    given: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a volume that is mounted read-only: the figures were lost when they were to be written."""

    def data_of(*_: Any) -> list[Data]:
        raise EvaluationError("the images are read")

    monkeypatch.setattr(evaluate, "data_of", data_of)
    monkeypatch.setattr("os.access", lambda path, _: Path(path) != tmp_path / "bundle")
    (tmp_path / "bundle").mkdir()
    places = ["--bundle", str(tmp_path / "bundle"), "--cache", str(tmp_path / "cache"), "--labels", str(tmp_path)]

    assert main(["evaluate", *places, *given]) == 1
    assert says in capsys.readouterr().err


def certificate(of: str = "0") -> Certificate:
    return Certificate("pairs", "mine.csv", of * 64, 2, 2, 2, 0, [], 1, 0, 0.95, "2026-12-01T00:00:00Z", [])


def test_figures_of_other_data_with_the_same_name_are_replaced_with_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    """Two folders have the name `photos`, as two projects': the figures of the first went without a word."""
    model = replace(manifests.model("acme/clip"), quality=[certificate()])
    again = replace(certificate(), left_out=1)
    assert manifest.with_certificates(model, [again]).quality == [again]
    assert capsys.readouterr().err == ""

    assert manifest.with_certificates(model, [certificate("f")]).quality == [certificate("f")]

    told = capsys.readouterr().err
    assert "the earlier figures of acme/clip on mine.csv were of other images or texts, and are replaced" in told


def test_a_bundle_that_is_a_volume_of_its_own_gets_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `docker run --volume build/bundle:/bundle`: nothing is renamed from one disk to another."""
    rename = os.replace

    def within(source: Path, target: Path) -> None:
        if not Path(source).is_relative_to(tmp_path / "bundle"):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    (tmp_path / "bundle").mkdir()
    manifest.write_facts(tmp_path / "bundle", manifests.manifest_of([manifests.model("acme/clip")], []))
    made = certificate()
    with monkeypatch.context() as volume:
        volume.setattr(Path, "is_mount", lambda path: path == tmp_path / "bundle")
        volume.setattr("os.rename", within)
        volume.setattr("os.replace", within)
        assert evaluate.write(tmp_path / "bundle", [Result(tmp_path / "bundle", "acme/clip", "onnx int8", made, ())])

    assert manifest.read(tmp_path / "bundle").models[0].quality == [made]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == [manifest.NAME]
