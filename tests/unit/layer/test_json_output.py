"""`--json`: every command of the builder prints one document, and nothing else, on standard output."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from layer.bundle import manifest
from layer.cli import parser
from tests.unit import manifests

SPEC = '[[model]]\nname = "hf-hub:acme/clip"\n[[model]]\nname = "ViT-B-32"\npretrained = "openai"\n'
REPORT: dict[str, Any] = {
    "models": [
        {"id": "m", "token_ids_equal": True, "min_text_cosine": 1.0, "min_image_cosine": 1.0, "load_seconds": 0.5}
    ]
}


def document(capsys: pytest.CaptureFixture[str], *arguments: str | Path, status: int = 0) -> dict[str, Any]:
    assert parser.main([*map(str, arguments), "--json"]) == status
    (line,) = capsys.readouterr().out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models.toml").write_text(SPEC)
    return tmp_path / "models.toml"


def test_models_of_a_file(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = document(capsys, "models", "--models", models)
    assert [model["name"] for model in told["models"]] == ["hf-hub:acme/clip", "ViT-B-32"]
    assert [model["sources"] for model in told["models"]] == [None, None]
    assert told["target"]["architecture"] == "x86_64"


def test_pairs_of_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    (pair,) = document(capsys, "models", "--family", "ViT-B-16-SigLIP-i18n-256")["pairs"]
    assert (pair["name"], pair["pretrained"], pair["embed_dim"]) == ("ViT-B-16-SigLIP-i18n-256", "webli", 768)
    assert pair["image_size"] == [256, 256]
    assert pair["sizes"]["int8"] < pair["sizes"]["fp32"]


def test_what_is_in_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest.write_facts(tmp_path, manifests.manifest_of([manifests.model("acme/clip", embed_dim=4)], []))
    told = document(capsys, "inspect", "--bundle", tmp_path)
    (model,) = told["models"]
    assert (model["id"], model["embed_dim"]) == ("acme/clip", 4)
    assert "golden" not in model
    assert told["target"]["architecture"] == "x86_64"


def test_what_decoders_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = replace(manifests.TARGET, image_formats=("avif", "heic"))
    manifest.write_facts(tmp_path, manifests.manifest_of([manifests.model("acme/clip")], [], target))
    told = document(capsys, "inspect", "--bundle", tmp_path)
    assert told["target"]["image_formats"] == ["avif", "heic"]
    assert told["decoders"] == {"avif": 5_000_000, "heic": 27_500_000}
    assert parser.main(["inspect", "--bundle", str(tmp_path)]) == 0
    assert "decoder of heic: 27.5 MB in the package" in capsys.readouterr().out


def test_what_the_doctor_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.txt").write_text("RuntimeError: read-only file system: '/home/sbx_user1051'\n")
    told = document(capsys, "doctor", tmp_path / "log.txt", status=1)
    assert {"severity", "code", "where", "what", "fix"} == set(told["findings"][0])
    assert told["findings"][0]["severity"] == "error"


def test_what_takes_long(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layer.bundle.verify.verify", lambda bundle, own: REPORT)
    assert document(capsys, "verify", "--bundle", "somewhere") == {"message": "verified somewhere", **REPORT}


def test_an_error_leaves_standard_output_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert parser.main(["inspect", "--bundle", str(tmp_path), "--json"]) == 1
    output, error = capsys.readouterr()
    assert output == ""
    assert error.startswith("error: ")


def test_every_command_has_it() -> None:
    made = parser._parser()
    (commands,) = (action.choices for action in made._actions if isinstance(action.choices, dict))
    assert {name for name, command in commands.items() if "--json" not in command.format_help()} == set()
    assert len(commands) == 9


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--json", "models"], "; --json stands after the command: python -m layer <command> --json"),
        (["--setup", "doctor"], "; --setup stands after the command: python -m layer doctor --setup"),
        (["--samples", "photos", "build"], "; --samples stands after the command: python -m layer build --samples"),
        (["--jsn", "models"], "did you mean '--json'?"),
    ],
)
def test_an_option_before_its_command_is_told_where_it_stands(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser.main(words)
    assert told in capsys.readouterr().err
