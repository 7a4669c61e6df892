"""Options that take a path of this machine: ~ is the home directory, and an address is refused.

Of these a directory called `~` or `s3:` would be made in the working directory.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from openclip_lambda.cli import main as client
from openclip_lambda.cli.parser import Parser

from devserver import command as devserver
from handler.batch import command as batch
from layer.cli import parser as layer

ADDRESS = "s3://bucket/a"
NAMED = f"'{ADDRESS}' is an address: name a path on this machine"
LAYER = (
    *(["build", option] for option in ("--output", "--models", "--cache", "--samples")),
    *(["fetch", option] for option in ("--output", "--models", "--cache")),
    *(["package", option] for option in ("--output", "--bundle", "--cache", "--extensions")),
    *(["evaluate", option] for option in ("--bundle", "--pairs", "--labels", "--chart", "--cache")),
    *(["verify", "--bundle"], ["inspect", "--bundle"], ["inspect", "--models"], ["models", "--models"], ["init"]),
)
CLIENT = (
    ["embed", "a.png", "--output"],
    ["classify", "a.png", "--label", "a", "--output"],
    ["search", "a.npy", "text", "--html"],
    ["batch", "start", "photos", "--output"],
    ["batch", "resume", "--output"],
)


def served(arguments: Sequence[str]) -> int:
    return devserver.main([*arguments], "python -m devserver")


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        *((layer.main, words) for words in LAYER),
        *((client.main, words) for words in CLIENT),
        (served, ["--images"]),
        (served, ["--extensions"]),
    ],
)
def test_an_address_is_no_path(
    main: Callable[[Sequence[str]], int],
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as ended:
        main([*arguments, ADDRESS])

    assert ended.value.code == 2
    assert NAMED in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["init", "~/project"], ["init", "--models=~/models.toml", "project"]])
def test_a_tilde_that_the_shell_left_is_the_home_directory(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shells replace it at the beginning of a word alone."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    (home / "models.toml").write_text('[[model]]\nname = "hf-hub:a/b"\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)

    assert layer.main(arguments) == 0

    assert [*tmp_path.glob("*/project/models.toml")]
    assert not Path("~").exists()


def test_a_tilde_in_the_options_of_a_folder_run_and_of_the_client_is_the_home_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/me")

    run = batch._parser().parse_args(["~/photos", "--output=~/vectors"])
    parser = Parser()
    parser.add_argument("--output", type=Path)

    served = devserver._parser("python -m devserver").parse_args(["--index=~/index"])

    assert served.index == "/home/me/index"
    assert (run.source, run.output) == (Path("/home/me/photos"), Path("/home/me/vectors"))
    assert parser.parse_args(["--output=~/x.npy"]).output == Path("/home/me/x.npy")
