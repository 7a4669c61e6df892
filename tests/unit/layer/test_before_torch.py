"""What needs neither torch nor open_clip is told before they are imported, which takes seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import SECONDS

HEAVY = {"torch", "open_clip", "transformers", "timm"}
REPOSITORY = 'name = "hf-hub:acme/tiny"'
PAIR = 'name = "ViT-B-32"\npretrained = "laion2b_s34b_b79k"'
OWN = 'name = "acme/own"\ncheckpoint = "nothing.pt"\nconfig = "ViT-B-32/laion2b_s34b_b79k"'
UNREACHABLE = ("cannot be reached", "HTTPS_PROXY", "HF_ENDPOINT")


def layer(command: str, model: str, folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run a command; the last line of its output is its exit status and which heavy packages it imported."""
    (folder / "models.toml").write_text(f"[[model]]\n{model}\n")
    arguments = [command, "--models", str(folder / "models.toml"), "--cache", str(folder / "cache")]
    arguments += [] if command == "inspect" else ["--output", str(folder / "output")]
    code = (
        "import sys\nfrom layer.cli.parser import main\n"
        f"status = main({arguments!r})\nprint(status, sorted({HEAVY!r} & set(sys.modules)))"
    )
    nowhere = {"PATH": "", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(folder), **environ}
    return subprocess.run(
        [sys.executable, "-c", code], env=nowhere, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.mark.parametrize(
    ("command", "model"),
    [("build", REPOSITORY), ("build", PAIR), ("fetch", REPOSITORY), ("fetch", PAIR), ("inspect", REPOSITORY)],
)
def test_a_hub_that_cannot_be_reached(tmp_path: Path, command: str, model: str) -> None:
    run = layer(command, model, tmp_path)

    assert run.stdout == "1 []\n", run.stderr
    for name in UNREACHABLE:
        assert name in run.stderr
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("command", ["build", "fetch", "inspect"])
def test_a_checkpoint_that_is_not_there(tmp_path: Path, command: str) -> None:
    run = layer(command, OWN, tmp_path)

    assert run.stdout == "1 []\n", run.stderr
    assert "nothing.pt, the checkpoint of acme/own, is not there" in run.stderr


@pytest.mark.parametrize("command", ["build", "fetch", "inspect"])
def test_a_repository_that_no_source_has_where_the_hub_may_not_be_asked(tmp_path: Path, command: str) -> None:
    run = layer(command, REPOSITORY, tmp_path, HF_HUB_OFFLINE="1")

    assert run.stdout == "1 []\n", run.stderr
    assert "acme/tiny" in run.stderr
    assert "HF_HUB_OFFLINE=1 is set" in run.stderr


def test_whether_a_model_of_the_registry_will_fit(tmp_path: Path) -> None:
    run = layer("inspect", f'{PAIR}\nengine = "onnx"', tmp_path)

    *told, last = run.stdout.splitlines()
    assert last == "0 []", run.stderr
    assert any("ViT-B-32/laion2b_s34b_b79k" in line and "156.8 MB" in line for line in told)
