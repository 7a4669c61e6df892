"""Every command that looks for models' repositories takes prepared caches: of --from, models.toml, the environment."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from layer.cli.parser import main
from layer.errors import SourceError
from layer.sources import lock
from layer.sources.download import gather
from layer.sources.prepared.chosen import Options, prepared
from layer.spec import read_spec
from tests.hub import prepared as made
from tests.hub.odd import forget
from tests.offline.test_prepared_damage import blob, named, reference, snapshot
from tests.offline.test_prepared_damage import whole as whole
from tests.offline.test_prepared_forms import state

TINY = '[[model]]\nname = "hf-hub:acme/tiny"\nengine = "torch"\n'


@pytest.fixture(scope="module")
def source(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of a model and its tokenizer's repository, with their cards."""
    cache = Path(shutil.copytree(whole, tmp_path_factory.mktemp("source") / "model_cache", symlinks=True))
    for repo, license in (("tiny", "mit"), ("tokenizer", "apache-2.0")):
        (snapshot(cache, repo) / "README.md").write_text(f"---\nlicense: {license}\n---\n")
    return cache


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    forget(monkeypatch)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = tmp_path / "models.toml"
    path.write_text(TINY)
    return path


def told(capsys: pytest.CaptureFixture[str], *command: object) -> Any:
    status = main([*map(str, command), "--json"])
    out, err = capsys.readouterr()
    assert status == 0, err
    return json.loads(out)


@pytest.mark.parametrize("how", ["--from", "models.toml", "HF_HUB_CACHE"])
def test_inspect_takes_what_it_needs_from_a_source_and_no_more(
    source: Path, spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    cache = spec.parent / "model_cache"
    shutil.copytree(source, cache, symlinks=True)
    size = blob(cache).stat().st_size
    blob(cache).unlink()
    shutil.rmtree(cache / "models--acme--tokenizer")  # neither weights nor a tokenizer is needed to count parameters
    if how == "models.toml":
        spec.write_text(f'cache = "model_cache"\n{TINY}')
    elif how == "HF_HUB_CACHE":
        monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    given = ["--from", cache] if how == "--from" else []

    [model] = told(capsys, "inspect", "--models", spec, "--cache", spec.parent / "build", *given)["models"]

    assert 0.9 * size < model["weights"] <= size


def test_inspect_names_the_config_that_no_source_has(
    source: Path, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = spec.parent / "model_cache"
    shutil.copytree(source, cache, symlinks=True)
    blob(cache, "open_clip_config.json").unlink()

    assert main(["inspect", "--models", str(spec), "--cache", str(spec.parent / "b"), "--from", str(cache)]) == 1

    assert {code for code, _ in named(SourceError(capsys.readouterr().err))} == {"dangling-link"}

    shutil.rmtree(cache / "models--acme--tiny")
    assert main(["inspect", "--models", str(spec), "--cache", str(spec.parent / "b"), "--from", str(cache)]) == 1

    assert named(SourceError(capsys.readouterr().err)) == {("config-missing", "acme/tiny")}


def test_models_shows_the_commits_and_licenses_of_a_source(
    source: Path, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [model] = told(capsys, "models", "--models", spec, "--from", source)["models"]

    assert model["sources"] == [
        {"repo": f"acme/{repo}", "revision": reference(source, repo).read_text(), "license": license}
        for repo, license in (("tiny", "mit"), ("tokenizer", "apache-2.0"))
    ]
    shutil.rmtree(shutil.copytree(source, spec.parent / "half", symlinks=True) / "models--acme--tokenizer")
    [half] = told(capsys, "models", "--models", spec, "--from", spec.parent / "half")["models"]
    assert half["sources"] is None, "not all of it is there"


def test_a_license_that_a_source_states_is_not_asked_of_the_hub(
    source: Path, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = spec.parent / "model_cache"
    shutil.copytree(source / "models--acme--tiny", cache / "models--timm--ViT-B-16-SigLIP", symlinks=True)

    found = told(capsys, "models", "--family", "ViT-B-16-SigLIP", "--licenses", "--from", cache)["licenses"]

    assert found["timm/ViT-B-16-SigLIP"] == "mit"
    assert "HF_HUB_OFFLINE=1 is set" in found["timm/ViT-B-16-SigLIP-512"]


def test_fetch_copies_what_a_source_has_and_leaves_it_as_it_was(
    source: Path, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(source)
    plain = made.with_real_files(source, spec.parent / "real")  # nothing vouches for its files

    for given in (source, plain):
        output = spec.parent / f"{given.name}-portable"
        options = ["--output", output, "--cache", spec.parent / "build", "--from", given]
        contents = told(capsys, "fetch", "--models", spec, *options)
        spec.with_suffix(".lock").unlink()
        assert [bool(one.get("as_found")) for one in contents["repositories"]] == [given == plain] * 2
        again = prepared(read_spec(spec), Options((str(output),)), False, lambda _: (), spec.parent / "build")
        [sources] = gather(read_spec(spec).models, spec.parent / "build", {}, again)
        assert [bool(one.as_found) for one in sources] == [given == plain] * 2, "the copy says what it does not know"
    assert state(source) == before


def test_a_fetch_is_of_one_state_of_the_lock(
    source: Path, spec: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked of the hub first and what is fetched then would be of two, if somebody wrote it between."""
    reads: list[Path] = []
    real = lock.read

    def read(path: Path) -> lock.Lock:
        reads.append(path)
        return real(path)

    monkeypatch.setattr(lock, "read", read)

    told(
        capsys,
        "fetch",
        "--models",
        spec,
        "--output",
        spec.parent / "out",
        "--cache",
        spec.parent / "build",
        "--from",
        source,
    )

    assert reads == [spec.with_suffix(".lock")]


def test_a_fetch_of_parts_that_two_sources_have_leaves_both_as_they_were(
    source: Path, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second name of a file in the build's own cache may be made; one of a source's file would change the source."""
    parts = [Path(shutil.copytree(source, spec.parent / name, symlinks=True)) for name in ("weights", "config")]
    (parts[0] / "models--acme--tiny" / "snapshots" / reference(source).read_text() / "open_clip_config.json").unlink()
    blob(parts[1]).unlink()
    before = [state(part) for part in parts]

    given = [word for part in parts for word in ("--from", part)]
    told(capsys, "fetch", "--models", spec, "--output", spec.parent / "o", "--cache", spec.parent / "b", *given)

    assert [state(part) for part in parts] == before


@pytest.mark.parametrize("where", ["of all models", "of one"])
def test_fetch_makes_the_cache_that_models_toml_names(
    source: Path, spec: Path, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    line = 'cache = "model_cache"\n'
    spec.write_text(line + TINY if where == "of all models" else TINY + line)
    command = ["fetch", "--models", spec, "--output", spec.parent / "model_cache", "--cache", spec.parent / "build"]

    first, again = (told(capsys, *command, "--from", source) for _ in range(2))

    assert [one["repo"] for one in first["repositories"]] == ["acme/tiny", "acme/tokenizer"]
    assert again == first
    assert told(capsys, "models", "--models", spec)["models"][0]["sources"]


def test_fetch_does_not_replace_a_cache_to_which_somebody_added_a_repository(
    source: Path, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = spec.parent / "model_cache"
    command = ["fetch", "--models", spec, "--output", output, "--cache", spec.parent / "build", "--from", source]
    told(capsys, *command)
    added = output / "models--acme--other" / "refs" / "main"
    added.parent.mkdir(parents=True)
    added.write_text("c" * 40)

    assert main([str(word) for word in command]) == 1

    assert "it has models--acme--other, and would be replaced: name another --output" in capsys.readouterr().err
    assert added.read_text() == "c" * 40


def test_a_build_says_where_the_environment_gave_it_a_commit_without_the_hub(
    source: Path, spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_HUB_CACHE", str(source))
    said = "note: HF_HUB_CACHE has these commits, and no newer ones were looked for: --update asks the hub"

    def taken(options: Options, pins: Any) -> tuple[Any, str]:
        sources = prepared(read_spec(spec), options, False, lambda _: (), spec.parent)
        [found] = gather(read_spec(spec).models, spec.parent, pins, sources)
        return found, capsys.readouterr().err

    found, unpinned = taken(Options(), {})
    _, pinned = taken(Options(), {"acme/tiny": tuple(one.locked() for one in found)})
    _, named_source = taken(Options((str(source),)), {})

    assert unpinned.count(said) == 1
    assert said not in pinned + named_source
