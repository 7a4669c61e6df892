"""Directories of prepared caches that this user may not read: another user's, or root's in a container."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from layer.errors import SourceError
from layer.sources import resolve
from layer.sources.prepared import places
from layer.sources.prepared.search import Prepared
from layer.spec import ModelSpec


@contextmanager
def theirs(mode: int) -> Iterator[Path]:
    """A cache in a directory of this mode, read as a user whom the modes concern: root reads whatever they are."""
    with tempfile.TemporaryDirectory() as name:
        root, user = Path(name), os.geteuid()
        (root / "theirs/huggingface/hub").mkdir(parents=True)
        root.chmod(0o755)
        (root / "theirs").chmod(mode)
        os.seteuid(user or 65534)
        try:
            yield root / "theirs"
        finally:
            os.seteuid(user)
            (root / "theirs").chmod(0o755)


@pytest.mark.parametrize(
    ("variable", "inside"),
    [("HF_HUB_CACHE", "huggingface/hub"), ("HUGGINGFACE_HUB_CACHE", "."), ("XDG_CACHE_HOME", ".")],
)
def test_a_cache_of_the_environment_that_may_not_be_read_is_named_where_a_model_is_missing(
    variable: str, inside: str
) -> None:
    """And it stops no build that takes its model from elsewhere: nobody may have meant it."""
    with theirs(0o000) as folder:
        found = Prepared(places.of_environment(variable == "XDG_CACHE_HOME", {variable: str(folder / inside)}))
        model = ModelSpec("hf-hub:acme/clip")
        need = resolve.Need("acme/clip", ("weights", "config"))

        assert found.find(need, None, None, model) is None
        findings = found.findings(need, None, None, model)

    [closed] = [one for one in findings if one.code == "unreadable"]
    assert closed.where.startswith(str(folder))
    assert closed.detail == "Permission denied"


@pytest.mark.parametrize(("mode", "inside"), [(0o000, "huggingface"), (0o000, "."), (0o311, ".")])
def test_a_directory_of_an_option_that_may_not_be_read_is_told_with_the_option(mode: int, inside: str) -> None:
    """Mode 311 lets a user into the directory and shows no name in it."""
    with theirs(mode) as folder, pytest.raises(SourceError, match=r"--from: .* cannot be read \(Permission denied\)"):
        places.given(str(folder / inside), "--from")


@pytest.mark.parametrize("cache", [True, False], ids=["cache", "folder"])
def test_a_folder_that_may_be_listed_and_not_entered_is_named(cache: bool) -> None:
    """Mode 444, as `chmod -R 444` leaves it: the names show, and no file can be opened."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        snapshots = Path(name, "models--acme--clip" if cache else "acme", "snapshots" if cache else "")
        folder = snapshots / ("c0ffee" + "0" * 34 if cache else "clip")
        folder.mkdir(parents=True)
        for file in ("open_clip_config.json", "open_clip_model.safetensors"):
            (folder / file).write_text("{}")
        folder.chmod(0o444)
        need, model = (
            resolve.Need("acme/clip", ("weights", "config"), resolve.DEFAULT_WEIGHTS),
            ModelSpec("hf-hub:acme/clip"),
        )
        user = os.geteuid()
        os.seteuid(user or 65534)
        try:
            [finding] = Prepared([places.Place(Path(name))]).findings(need, None, None, model)
        finally:
            os.seteuid(user)
            folder.chmod(0o755)

    assert (finding.code, finding.where, finding.detail) == ("unreadable", str(folder), "Permission denied")


def test_the_environment_s_caches_are_where_huggingface_hub_has_them(tmp_path: Path) -> None:
    for folder in ("scratch/hub", "scratch/home/hub", "own/huggingface/hub"):
        (tmp_path / folder).mkdir(parents=True)
    of_hub = "import huggingface_hub.constants as its; print(its.HF_HUB_CACHE)"
    for variables in (
        {"HF_HUB_CACHE": "$SCRATCH/hub"},
        {"HF_HUB_CACHE": "~/hub"},
        {"HF_HOME": "${SCRATCH}/home"},
        {"XDG_CACHE_HOME": "$HOME/../own"},
    ):
        environ = {"SCRATCH": str(tmp_path / "scratch"), "HOME": str(tmp_path / "scratch"), **variables}
        code = f"from layer.sources.prepared import places; print(places.of_environment(True)[0].path)\n{of_hub}"
        run = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        ours, theirs = run.stdout.split()
        assert ours == theirs


def test_a_user_without_a_home_has_no_cache_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as any user id, where the image sets no HOME."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", dict[int, object]().__getitem__)

    assert places.of_environment(True, {}) == []
