"""`python -m layer init`: a project folder that is complete, works as it is, and never costs anybody a file."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.settings import StackSettings
from layer.cli.parser import main
from layer.errors import ProjectError
from layer.files import project
from layer.spec import DEFAULT_SPEC, read_spec
from tests.documents import marked
from tests.shell import Shell

ROOT = Path(__file__).parents[3]
LOCK = DEFAULT_SPEC.with_name("models.lock")


def made(folder: Path, *arguments: str) -> Path:
    assert main(["init", str(folder), *arguments]) == 0
    return folder


def test_a_project_has_all_that_the_commands_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made(tmp_path / "shoe search")

    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    files = {"models.toml", "cdk.json", "README.md", ".gitignore", "handler_ext/__init__.py", "test_handler_ext.py"}
    assert names - {"models.lock"} == files
    assert ("models.lock" in names) == LOCK.is_file()
    assert read_spec(folder / "models.toml") == read_spec()
    assert "cd " in capsys.readouterr().out
    assert not list(tmp_path.glob(".shoe*"))
    text = "".join((folder / name).read_text() for name in ("cdk.json", "README.md"))
    assert "@" not in text.replace("@aws-cdk", "")


def test_its_settings_are_ours_and_name_this_checkout(tmp_path: Path) -> None:
    settings = json.loads((made(tmp_path / "shoe search") / "cdk.json").read_text())
    stack = StackSettings.from_context(settings["context"])
    assert (stack.stack_name, stack.auth) == ("openclip-shoe-search", "api_key")
    assert stack == StackSettings(stack_name=stack.stack_name)  # what is written there is what holds without it
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    assert flags.items() <= settings["context"].items()
    said = subprocess.run(
        ["sh", "-c", settings["app"].replace("python", "echo", 1)], capture_output=True, text=True, check=True, env={}
    )
    assert Path(said.stdout.strip()) == ROOT / "app.py"


@pytest.mark.parametrize("names", [("商品搜索", "图片搜索"), ("a" * 70, "a" * 80), ("søk", "suk")])
def test_two_projects_have_two_stacks(tmp_path: Path, names: tuple[str, str]) -> None:
    """A second deployment of one name replaces the first."""
    made_of = [json.loads((made(tmp_path / name) / "cdk.json").read_text())["context"] for name in names]
    stacks = [StackSettings.from_context(context).stack_name for context in made_of]
    assert len(set(stacks)) == 2
    assert all(name.startswith("openclip-") and len(name) <= 60 for name in stacks)


def test_its_page_s_commands_name_a_checkout_with_a_blank_in_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "CHECKOUT", tmp_path / "my code")
    page = (made(tmp_path / "shoes") / "README.md").read_text()
    [export] = re.findall("^export .*$", page, re.MULTILINE)
    typed = ["sh", "-c", f'{export}; echo "$OPENCLIP_LAMBDA"']
    said = subprocess.run(typed, capture_output=True, text=True, check=True)
    assert said.stdout == f"{tmp_path / 'my code'}\n"


def test_the_page_s_first_commands_work_as_they_stand_there(tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    [block] = marked(__file__, "docs/extending.md")
    told = Shell(tmp_path / "checkout").run(block.text)
    assert '"/ext/rank"' in told
    assert "Ran 2 tests" in told
    assert (tmp_path / "my-search" / "models.toml").is_file()


def test_models_lock_and_code_of_somebody_s_own_are_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = made(tmp_path / "old")
    (old / "models.toml").write_text(
        'cache = "acme/tokens=files"\n'
        '[[model]]\nname = "acme/shoes"\ncheckpoint = "runs/epoch_10.pt"\nconfig = "c.json"\n',
        encoding="utf-16",  # as PowerShell's redirection writes it
    )
    (old / "models.lock").write_text("locked")
    (old / "handler_ext" / "words.txt").write_text("a")
    new = made(tmp_path / "new", "--models", str(old / "models.toml"), "--extensions", str(old / "handler_ext"))

    assert (new / "models.lock").read_text() == "locked"
    assert (new / "handler_ext" / "words.txt").read_text() == "a"
    assert not (new / "test_handler_ext.py").exists()  # it is of the example
    told = capsys.readouterr().out
    assert "note: " in told
    for name in ("runs/epoch_10.pt", "c.json", "files"):
        assert f"names {old / name} relative" in told


def test_nothing_is_ever_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("models.toml", "notes.txt", ".env"):
        folder = tmp_path / f"has {name}"
        folder.mkdir()
        (folder / name).write_text("mine")
        assert main(["init", str(folder)]) == 1
        assert [path.read_text() for path in folder.iterdir()] == ["mine"]
        assert f"has {name} in it, and nothing is overwritten" in capsys.readouterr().err
    (tmp_path / "file").write_text("mine")
    assert main(["init", str(tmp_path / "file")]) == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_a_repository_that_is_there_already_is_filled(tmp_path: Path) -> None:
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    (tmp_path / "shop" / ".DS_Store").touch()  # of macOS's Finder
    assert (made(tmp_path / "shop") / "models.toml").is_file()


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fail)
    assert main(["init", str(tmp_path / "shop")]) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inside", ["shop", "build/shop", "."])
def test_inside_of_the_checkout_it_is_refused(inside: str) -> None:
    with pytest.raises(ProjectError, match="is inside of this checkout"):
        project.init(ROOT / inside, DEFAULT_SPEC, LOCK)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--models", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["--extensions", "nowhere"], "has no __init__.py"),
    ],
)
def test_what_it_should_begin_with_has_to_be_there(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "shop"), *arguments]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "shop").exists()


def test_make_works_on_a_project_and_on_none(tmp_path: Path) -> None:
    folder = made(tmp_path / "shop")

    def says(*arguments: str) -> str:
        run = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return run.stdout + run.stderr

    said = says("build", "verify", "package", "serve", "synth", f"PROJECT={folder}")
    for command in (
        f"-m layer build --models {folder}/models.toml --output {folder}/build/bundle",
        f"-m layer verify --bundle {folder}/build/bundle --extensions {folder}/handler_ext",
        f"-m layer package --bundle {folder}/build/bundle --output {folder}/build --extensions {folder}/handler_ext",
        f"OPENCLIP_BUNDLE_DIR={folder}/build/bundle",
        f'cd "{folder}" && ',
    ):
        assert command in said, command
    assert "handler_ext" not in says("build", "verify", "package", "serve", "synth")
    assert "has a space" in says("build", "PROJECT=a b")
    assert "python -m layer init" in says("build", f"PROJECT={tmp_path}/nothing")
