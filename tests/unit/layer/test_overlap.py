"""An output that would replace or change what the same command reads is refused, before anything is touched."""

from pathlib import Path

import pytest
from PIL import Image

from layer.cli.parser import main
from layer.errors import BuildError
from layer.files.overlap import HOLDS, INSIDE, SAME, relation
from layer.package import pipeline
from tests.hub.odd import forget

SPEC = '[[model]]\nname = "hf-hub:acme/tiny"\n'
ADVICE = "give --output a place apart from it"
IN_SPEC = ("models.toml", "the model's")
CASES = [
    (command, output, how)
    for command in ("build", "fetch")
    for output in ("mine", "link", "mine/new", ".")
    for how in ("--from", "named", *IN_SPEC, "HF_HUB_CACHE")
    if not (command == "fetch" and output in ("mine", "link") and how in IN_SPEC)  # `fetch` is what makes that one
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a models.toml and a prepared cache, also under the name of a link."""
    forget(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no-cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.toml").write_text(SPEC)
    weights = tmp_path / "mine" / "models--acme--tiny" / "snapshots" / "main" / "open_clip_model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_text("the only copy")
    (tmp_path / "link").symlink_to("mine")
    return tmp_path


def state(folder: Path) -> list[tuple[str, bytes]]:
    return sorted(
        (str(path.relative_to(folder)), path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*")
    )


@pytest.mark.parametrize(
    ("output", "place", "found"),
    [
        ("mine", "mine", SAME),
        ("mine/", "./other/../mine", SAME),
        ("link", "mine", SAME),
        ("mine", "link", SAME),
        (".", "mine", HOLDS),
        ("mine", "link/models--acme--tiny", HOLDS),
        ("mine/new", "mine", INSIDE),
        ("link/new/deeper", "mine", INSIDE),
        ("new", "new", SAME),
        ("new", "new/deeper", HOLDS),
        ("new", "mine", None),
        ("mine-2", "mine", None),
    ],
)
def test_places_are_compared_as_the_disk_has_them(home: Path, output: str, place: str, found: str | None) -> None:
    (home / "other").mkdir()

    assert relation(Path(output), Path(place)) == found
    assert relation(home / output, Path(place)) == found


@pytest.mark.parametrize(("command", "output", "how"), CASES)
def test_a_source_is_never_an_output(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    output: str,
    how: str,
) -> None:
    if how == "HF_HUB_CACHE":
        monkeypatch.setenv("HF_HUB_CACHE", str(home / "mine"))
    elif how == "models.toml":
        (home / "models.toml").write_text('cache = "mine"\n' + SPEC)
    elif how == "the model's":
        (home / "models.toml").write_text(SPEC + 'cache = "acme/tiny=mine"\n')
    given = {"--from": ["--from", "mine"], "named": ["--from", "acme/tiny=mine"]}.get(how, [])
    before = state(home)

    assert main([command, "--models", "models.toml", "--output", output, "--cache", "work", *given]) == 1

    assert ADVICE in capsys.readouterr().err
    assert state(home) == before


@pytest.mark.parametrize(
    ("output", "options"),
    [
        ("work", ["--cache", "work"]),
        ("work", ["--cache", "work/deeper"]),  # not there before: it would be made, filled, and thrown away
        ("mine", ["--samples", "mine/models--acme--tiny"]),
        (".", []),  # models.toml
    ],
)
def test_a_build_s_own_inputs_are_not_in_its_output(
    home: Path, capsys: pytest.CaptureFixture[str], output: str, options: list[str]
) -> None:
    before = state(home)

    assert main(["build", "--models", "models.toml", "--output", output, *options]) == 1

    assert ADVICE in capsys.readouterr().err
    assert state(home) == before


@pytest.mark.parametrize("table", ['checkpoint = "mine/models--acme--tiny"\n', '[evaluate]\nlabels = "mine"\n'])
def test_what_models_toml_names_is_not_in_the_output(
    home: Path, capsys: pytest.CaptureFixture[str], table: str
) -> None:
    name = "acme/tiny" if table.startswith("checkpoint") else "hf-hub:acme/tiny"
    (home / "models.toml").write_text(f'[[model]]\nname = "{name}"\n{table}')
    before = state(home)

    assert main(["build", "--models", "models.toml", "--output", "mine", "--cache", "work"]) == 1

    assert ADVICE in capsys.readouterr().err
    assert state(home) == before


@pytest.mark.parametrize(
    ("output", "bundle", "own"),
    [
        ("bundle", "bundle", None),
        ("bundle/new", "bundle", None),
        (".", "image/openclip", None),
        (".", "bundle", "image/handler_ext"),
        ("own", "bundle", "own"),
    ],
)
def test_a_package_replaces_nothing_that_it_is_made_of(
    home: Path, capsys: pytest.CaptureFixture[str], output: str, bundle: str, own: str | None
) -> None:
    for folder in filter(None, (bundle, own)):
        (home / folder).mkdir(parents=True)
    extensions = ["--extensions", own] if own else []
    before = state(home)

    assert main(["package", "--output", output, "--bundle", bundle, "--cache", "work", *extensions]) == 1

    assert ADVICE in capsys.readouterr().err
    assert state(home) == before


@pytest.mark.parametrize("option", ["--output", "--cache"])
def test_a_package_is_not_made_in_the_code_that_goes_into_it(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """It would be copied into itself, until a name is too long or the disk is full."""
    for folder in ("handler", "bundle"):
        (home / folder).mkdir()
    monkeypatch.setattr(pipeline, "HANDLER", home / "handler")
    before, places = state(home), {"--output": "out", "--cache": "work"} | {option: "handler/new"}

    assert main(["package", "--bundle", "bundle", *(word for pair in places.items() for word in pair)]) == 1

    assert f"handler, and would change it: give {option} a place apart from it" in capsys.readouterr().err
    assert state(home) == before


@pytest.mark.parametrize(
    "command",
    [
        "build --from mine --output out",
        "fetch --from mine --output out",
        "package --bundle mine --output out",
        "package --extensions mine --output out",
        "evaluate --bundle mine --labels mine",
    ],
)
@pytest.mark.parametrize("cache", ["mine", "mine/build/cache"])
def test_a_cache_is_not_made_in_what_is_read(
    home: Path, capsys: pytest.CaptureFixture[str], command: str, cache: str
) -> None:
    """As the default one is, build/cache, where somebody is in a bundle or a prepared cache."""
    models = [] if command.startswith("package") else ["--models", "models.toml"]
    before = state(home)

    assert main([*command.split(), "--cache", cache, *models]) == 1

    assert "and would change it: give --cache a place apart from it" in capsys.readouterr().err
    assert state(home) == before


def test_a_project_is_not_made_in_the_code_that_it_copies(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "own").mkdir()
    (home / "own" / "__init__.py").touch()
    before = state(home)

    assert main(["init", "own/project", "--extensions", "own"]) == 1

    assert "own/project lies in --extensions own" in capsys.readouterr().err
    assert state(home) == before


@pytest.mark.parametrize("chart", ["classes/a/one.png", "models.toml/x.png", "classes.png"])
def test_a_chart_that_replaces_an_image_or_cannot_be_written_is_told_before_anything_is_measured(
    home: Path, capsys: pytest.CaptureFixture[str], chart: str
) -> None:
    for number, name in enumerate("ab"):
        (home / "classes" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(home / "classes" / name / "one.png")
    (home / "classes.png").mkdir()
    before = state(home)

    assert main(["evaluate", "--labels", "classes", "--chart", chart]) == 1

    assert "name another file" in capsys.readouterr().err
    assert state(home) == before


def test_the_directory_that_a_command_runs_in_may_be_its_source(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cache that was prepared here, with cache_dir=".": build/ beside the repositories is no part of them."""

    def reached(*_: object, **__: object) -> None:
        raise BuildError("the build began")

    monkeypatch.chdir(home / "mine")
    monkeypatch.setattr("layer.build.build", reached)
    assert main(["build", "--models", "../models.toml", "--from", "."]) == 1
    assert "the build began" in capsys.readouterr().err

    assert main(["build", "--models", "../models.toml", "--from", ".", "--output", "."]) == 1
    assert main(["build", "--models", "../models.toml", "--from", ".", "--cache", "."]) == 1
    assert capsys.readouterr().err.count("a place apart from it") == 2
