"""What `make synth` says of its templates: those of this synth, where it was told to write them."""

import json
from pathlib import Path

import pytest

from infra import summary
from tests.infra.conftest import Synth


def test_a_template_of_an_earlier_synth_is_not_listed(
    synth: Synth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    context = {"batch_source": "photos", "search": "s3vectors"}
    synth(stack_name="first", **context)
    synth(stack_name="second", **context)
    assert (tmp_path / "cdk.out" / "first-vectors.template.json").exists()
    monkeypatch.chdir(tmp_path)

    assert summary.main(["-c", "stack_name=second", "--all", "--profile", "mine"]) == 0

    names = [line.partition(": ")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["cdk.out/second-vectors.template.json", "cdk.out/second.template.json"]


@pytest.mark.parametrize("arguments", [["--output", "own"], ["-oown"], []])
def test_the_templates_are_looked_for_where_cdk_was_told_to_write(
    synth: Synth,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    synth(out="cdk.out", stack_name="old")
    synth(out="own", stack_name="new")
    (tmp_path / "cdk.json").write_text(json.dumps({"output": "own"} if not arguments else {}))
    monkeypatch.chdir(tmp_path)

    assert summary.main(arguments) == 0
    assert capsys.readouterr().out.startswith("own/new.template.json: ")


@pytest.mark.parametrize("manifest", [None, "", "[]", '{"artifacts": {"a": 1}}', '{"artifacts": []}'])
def test_an_output_without_a_synth_is_told(
    manifest: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)

    assert summary.main(["-o", str(tmp_path)]) == 1
    assert "run `make synth`" in capsys.readouterr().err
