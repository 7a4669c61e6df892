"""A wrong name of a model is answered with the right one, from registry.json alone."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from layer.cli.parser import main
from layer.errors import SpecError
from layer.naming import model_names
from layer.sources.prepared import places
from layer.spec import read_spec

ROOT = Path(__file__).parents[3]
SECONDS = 3  # of processor time, on a slow machine: elsewhere it is a quarter of one


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ViT-B32", "did you mean 'ViT-B-32'"),
        ("vit_b_32", "did you mean 'ViT-B-32'"),
        ("ViT-B/32", "did you mean 'ViT-B-32'"),
        (" ViT-B-32", "did you mean 'ViT-B-32'"),
        ("RN-50", "did you mean 'RN50'"),
        ("siglip2-base", "did you mean 'ViT-B-16-SigLIP2'"),
        ("ViT-B-32/openai", 'write name = "ViT-B-32" and pretrained = "openai"'),
        ("laion2b_s34b_b79k", 'write pretrained = "laion2b_s34b_b79k" with name = "ViT-B-32"'),
        ("hf-hub:ViT-B-32", 'write name = "ViT-B-32"'),
        ("timm/ViT-B-16-SigLIP", 'write name = "hf-hub:timm/ViT-B-16-SigLIP"'),
        ("https://huggingface.co/timm/ViT-B-16-SigLIP", 'write name = "hf-hub:timm/ViT-B-16-SigLIP"'),
        ("huggingface.co/timm/ViT-B-16-SigLIP/tree/v1", 'name = "hf-hub:timm/ViT-B-16-SigLIP" and revision = "v1"'),
        ("hf-hub:https://hf.co/timm/ViT-B-16-SigLIP", 'write name = "hf-hub:timm/ViT-B-16-SigLIP"'),
        ("hf-hub:timm/ViT-B-16-SigLIP/", 'write name = "hf-hub:timm/ViT-B-16-SigLIP"'),
        ("hf-hub:acme/clip@v1", 'name = "hf-hub:acme/clip" and revision = "v1"'),
        ("hf_hub:acme/clip", 'write name = "hf-hub:acme/clip"'),
        ("hf://acme/clip", 'write name = "hf-hub:acme/clip"'),
        ("openai/clip-vit-base-patch32", 'write name = "ViT-B-32-quickgelu" and pretrained = "openai"'),
        ("local-dir:/models/shoes", 'checkpoint = "/models/shoes"'),
        ("runs/epoch_10.pt", 'checkpoint = "runs/epoch_10.pt"'),
        (r"C:\models\shoes", 'checkpoint = "C:\\\\models\\\\shoes"'),
        ("https://acme.example/w.pt", 'checkpoint = "https://acme.example/w.pt"'),
    ],
)
def test_a_wrong_name_is_answered_with_what_to_write(name: str, says: str) -> None:
    assert says in str(model_names.name_problem(name))


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        ("laion2b_s34b_b79", "did you mean 'laion2b_s34b_b79k'"),
        ("opena", "did you mean 'openai'"),
        ("webli", "but of ViT-B-16-SigLIP"),
        ("/models/epoch_10.pt", 'checkpoint = "/models/epoch_10.pt"'),
        ("epoch_10.pt", 'checkpoint = "epoch_10.pt"'),
    ],
)
def test_a_wrong_tag_is_answered_with_the_nearest_or_what_to_write(tag: str, says: str) -> None:
    assert says in str(model_names.tag_problem("ViT-B-32", tag))


def test_every_name_and_tag_of_the_table_is_right_and_a_hub_repository_is_not_looked_up() -> None:
    table = model_names._table()
    assert len(table["pairs"]) > 150
    wrong = [row for row in table["pairs"] if model_names.name_problem(row["name"])]
    wrong += [row for row in table["pairs"] if model_names.tag_problem(row["name"], row["pretrained"])]
    assert wrong == []
    assert model_names.tag_problem("ViT-B-32", "laion2b-s34b-b79k") is None  # open_clip reads it so
    assert model_names.name_problem("hf-hub:acme/clip") is None


def test_an_unknown_name_passes_if_another_open_clip_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_names, "_is_of_installed", lambda: False)
    assert model_names.name_problem("ViT-Z-99") is None
    assert model_names.tag_problem("ViT-B-32", "tag_of_tomorrow") is None


@pytest.mark.parametrize("command", ["build", "models", "inspect"])
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('name = "ViT-B32"\npretrained = "openai"', "did you mean 'ViT-B-32'"),
        ('name = "ViT-B-32"\npretrained = "opena"', "did you mean 'openai'"),
        ('name = "ViT-B-32"\npretraind = "openai"', "did you mean 'pretrained'"),
        ('name = "hf-hub:a/b"\nengine = "onxx"', "did you mean 'onnx'"),
        ('name = "a/b"\ncheckpoint = "w.pt"\nconfig = "ViT-B32/openai"', "did you mean 'ViT-B-32'"),
    ],
)
def test_every_command_refuses_it_before_torch_is_imported(
    tmp_path: Path, command: str, line: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models.toml").write_text(f"[[model]]\n{line}\n", encoding="utf-8")

    assert main([command, "--models", str(tmp_path / "models.toml")]) == 1
    assert says in capsys.readouterr().err


def test_a_file_in_place_of_a_tag_is_told_a_config_that_is_computed_as_it_was_trained() -> None:
    told = model_names.tag_problem("ViT-B-32", "runs/epoch_latest.pt")

    assert 'config = "ViT-B-32/laion2b_e16"' in str(told), "ViT-B-32/openai was trained with QuickGELU"


def test_a_wrong_name_is_reported_without_torch_and_in_little_processor_time(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text('[[model]]\nname = "ViT-B32"\npretrained = "openai"\n', encoding="utf-8")
    program = (
        "import sys, time\n"
        "from layer.cli.parser import main\n"
        f"status = main(['build', '--models', {str(tmp_path / 'models.toml')!r}])\n"
        "print(status, 'torch' in sys.modules, time.process_time())"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    status, torch_imported, seconds = run.stdout.split()
    assert (status, torch_imported) == ("1", "False"), run.stderr
    assert float(seconds) < SECONDS


@pytest.mark.parametrize(
    ("family", "says"),
    [
        ("sigilp", "did you mean 'siglip'"),
        ("acme/clip", 'write name = "hf-hub:acme/clip" in models.toml'),
        ("hf-hub:acme/clip", 'write name = "hf-hub:acme/clip" in models.toml'),
    ],
)
def test_a_family_of_no_pair_is_an_error(family: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--family", family]) == 1
    assert says in capsys.readouterr().err


def test_a_family_may_be_the_repository_of_the_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--family", "hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K"]) == 0
    assert "laion2b_s34b_b79k" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["biuld"], "did you mean 'build'"),
        (["models", "--familly", "siglip"], "did you mean '--family'"),
        (["models", "--fits", "lyer"], "did you mean 'layer'"),
        (["models", "--pick", "--languages", "chinese"], "is not the code of a language: give codes, as en,zh,de"),
        (["models", "--pick", "--max-dollars", "cheap"], "is not a number above 0"),
    ],
)
def test_a_misspelled_command_or_option_names_the_right_one(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_looking_for_the_nearest_name_stays_cheap_however_long_the_word_is() -> None:
    started = time.process_time()
    model_names.name_problem("ViT" * 100_000)
    assert time.process_time() - started < SECONDS


REPOSITORY = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"


@pytest.mark.parametrize(
    ("address", "revision"),
    [
        (f"https://huggingface.co/{REPOSITORY}", None),
        (f"http://www.huggingface.co/{REPOSITORY}/", None),
        (f"  https://huggingface.co/{REPOSITORY}?library=open_clip#usage ", None),
        (f"https://huggingface.co/{REPOSITORY}/tree/main", None),
        (f"https://huggingface.co/{REPOSITORY}/tree/v1/sub/folder", "v1"),
        (f"https://huggingface.co/{REPOSITORY}/tree/refs%2Fpr%2F3", "refs/pr/3"),
        (f"https://huggingface.co/{REPOSITORY}/blob/main/open_clip_config.json", None),
        (f"https://huggingface.co/{REPOSITORY}/resolve/{'a' * 40}/model.safetensors?download=true", "a" * 40),
        (f"https://huggingface.co/{REPOSITORY}/commit/{'a' * 40}", "a" * 40),
        (f"https://huggingface.co/{REPOSITORY}/discussions/4", None),
        (f"https://huggingface.co/{REPOSITORY}.git", None),
        (f"https://huggingface.co/api/models/{REPOSITORY}", None),
        (f"https://hf-mirror.com/{REPOSITORY}/tree/main", None),
        (f"hf.co/{REPOSITORY}", None),
        (f"hf-hub:https://huggingface.co/{REPOSITORY}/tree/v1", "v1"),
        (f"hf://{REPOSITORY}@v1", "v1"),
    ],
)
def test_an_address_of_the_hub_pasted_whole_is_understood(
    tmp_path: Path, address: str, revision: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models.toml").write_text(f'[[model]]\nname = "{address}"\n')

    [model] = read_spec(tmp_path / "models.toml").models
    assert (model.name, model.revision, model.id) == (f"hf-hub:{REPOSITORY}", revision, REPOSITORY)

    assert main(["models", "--family", address]) == 0
    assert "laion2b_s34b_b79k" in capsys.readouterr().out
    (tmp_path / "there").mkdir()
    assert places.given(f"{address}={tmp_path / 'there'}", "--from").repo == REPOSITORY


@pytest.mark.parametrize("kind", ["datasets", "spaces", "papers", "collections"])
def test_an_address_that_is_no_models_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "models.toml").write_text(f'[[model]]\nname = "https://huggingface.co/{kind}/acme"\n')

    with pytest.raises(SpecError, match="no model's: open the model's page there, and copy its address"):
        read_spec(tmp_path / "models.toml")


def test_an_address_with_a_revision_and_another_beside_it_is_refused(tmp_path: Path) -> None:
    text = '[[model]]\nname = "https://huggingface.co/acme/clip/tree/v1"\nrevision = "v2"\n'
    (tmp_path / "models.toml").write_text(text)

    with pytest.raises(SpecError, match="leave one out"):
        read_spec(tmp_path / "models.toml")


def test_a_config_may_be_the_address_of_a_pairs_weights(tmp_path: Path) -> None:
    def config(address: str) -> str | None:
        text = f'[[model]]\nname = "me/mine"\ncheckpoint = "w.pt"\nconfig = "{address}"\n'
        (tmp_path / "models.toml").write_text(text)
        return read_spec(tmp_path / "models.toml").models[0].config

    assert config(f"https://huggingface.co/{REPOSITORY}/tree/main") == "ViT-B-32/laion2b_s34b_b79k"
    assert config("hf.co/timm/vit_base_patch32_clip_224.openai") == "ViT-B-32-quickgelu/openai"
    with pytest.raises(SpecError, match="acme/clip has no pair's weights: download its open_clip_config"):
        config("https://huggingface.co/acme/clip")
