"""`make demo` in one folder, one at a time: a second one would delete the vectors that the first is writing."""

import json
import subprocess
from pathlib import Path

import pytest

from layer.bundle.records import as_json
from layer.demo import tour
from layer.files.directory_lock import held
from layer.spec import DEFAULT_SPEC, read_spec
from tests.unit.manifests import manifest_of, model


def test_a_second_demo_is_refused_while_one_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo-collection"
    monkeypatch.setattr(tour, "_bring_bundle", lambda _: pytest.fail("it began"))

    with held(tmp_path / ".demo-collection.lock", str(folder)):
        status = tour.main(["--bundle", str(tmp_path / "bundle"), "--collection", str(folder)])

    assert status == 1
    assert f"{folder} is in use by process" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_current_folder_can_be_the_demos_and_the_root_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither `.` nor `/` has a name to call the lock by."""
    began: list[Path] = []
    monkeypatch.setattr(tour, "_tour", lambda arguments: began.append(arguments.collection))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    with held(tmp_path / ".here.lock", "it"):
        assert tour.main(["--collection", "."]) == 1
    assert tour.main(["--collection", "."]) == 0
    with pytest.raises(SystemExit):
        tour.main(["--collection", "/"])

    assert began == [Path()]
    assert "--collection /: name a folder in it" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["vectors", "index"])
def test_vectors_that_the_demo_did_not_make_stay(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`batch start` of a folder writes to ./vectors by itself, and the demo begins its own anew."""
    monkeypatch.setattr(tour, "_bring_bundle", lambda _: pytest.fail("it began"))
    (tmp_path / name).mkdir()

    with pytest.raises(SystemExit):
        tour.main(["--collection", str(tmp_path)])

    assert f"--collection {tmp_path} has vectors that the demo did not make" in capsys.readouterr().err
    assert (tmp_path / name).is_dir()


@pytest.mark.parametrize("built", [True, False])
def test_models_of_ones_own_in_the_place_of_the_demos_are_named(
    built: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """README names layer/models.toml for one's own model, and `make demo` then takes that, or the bundle made of it."""
    bundle, spec = tmp_path / "bundle", tmp_path / "models.toml"
    spec.write_text('[[model]]\nname = "hf-hub:acme/own"\n')
    monkeypatch.setattr(tour, "read_spec", lambda: read_spec(spec))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it was built, or verified"))
    if built:
        bundle.mkdir()
        made = manifest_of([model("acme/own")], [])
        (bundle / "manifest.json").write_text(json.dumps(as_json(made)))

    assert tour.main(["--bundle", str(bundle), "--collection", str(tmp_path / "collection")]) == 1

    told = capsys.readouterr().err
    assert f"{bundle if built else DEFAULT_SPEC} has acme/own as its first model" in told
    assert "ask yours with `make serve`, or put [[model]] name = " in told
