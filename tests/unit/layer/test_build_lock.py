"""A build is of one state of models.lock, also where it is measured afterwards."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from layer.build import build
from layer.bundle import build_cache, manifest
from layer.errors import LockError
from layer.quality import evaluate
from layer.sources import lock, portable
from layer.spec import read_spec
from tests.hub.odd import about, forget, serving
from tests.unit import manifests

SPEC = '[[model]]\nname = "hf-hub:acme/clip"\n[evaluate]\nlabels = "classes"\n'


def test_what_is_measured_has_the_commits_that_were_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may have been written between two readings; the figures would be of other commits than the bundle."""
    (tmp_path / "models.toml").write_text(SPEC)
    spec = read_spec(tmp_path / "models.toml")
    path = tmp_path / "models.lock"
    files = {"config.json": lock.LockedFile(2, "0" * 64)}
    pins: lock.Lock = {"acme/clip": (lock.LockedSource("acme/clip", None, "a" * 40, ("config",), None, files),)}
    lock.write(path, pins)
    bundle = tmp_path / "made"
    (bundle / "models").mkdir(parents=True)
    manifest.write_facts(bundle, manifests.manifest_of([manifests.model("acme/clip")], []))
    digest = build_cache.fingerprint(spec.models[0], pins["acme/clip"], None)
    build_cache.store(tmp_path / "cache", spec.models[0], digest, bundle, {"models": []})
    reads: list[Path] = []
    measured: list[lock.Lock] = []
    real = lock.read

    def read(place: Path) -> lock.Lock:
        reads.append(place)
        return real(place)

    def certified(parts: Any, _: object, places: evaluate.Places) -> Any:
        measured.append(places.lock)
        return parts

    monkeypatch.setattr(lock, "read", read)
    monkeypatch.setattr(evaluate, "certified", certified)

    build(spec, tmp_path / "out", tmp_path / "cache", lock=path)

    assert (reads, measured) == ([path], [pins])


@pytest.mark.parametrize("command", [build, portable.fetch])
def test_a_lock_that_cannot_be_written_is_told_before_anything_is_asked_or_downloaded(
    monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    """models.toml may lie where this user cannot write: a mount of a container, a checkout of somebody else."""
    forget(monkeypatch)
    with tempfile.TemporaryDirectory() as name, serving(monkeypatch, about()) as hub:
        root, user = Path(name), os.geteuid()
        for folder, mode in ((root, 0o755), (root / "theirs", 0o555), (root / "ours", 0o777)):
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)
        (root / "ours" / "models.toml").write_text('[[model]]\nname = "hf-hub:acme/clip"\nengine = "torch"\n')
        spec = read_spec(root / "ours" / "models.toml")
        os.seteuid(user or 65534)  # root writes whatever the modes are
        try:
            with pytest.raises(LockError, match=r"theirs/models.lock cannot be written \(Permission denied\)") as told:
                command(spec, root / "ours" / "out", root / "ours" / "cache", lock=root / "theirs" / "models.lock")
        finally:
            os.seteuid(user)

    assert "copy models.toml into one that is writable, and name it by --models" in str(told.value)
    assert hub.asked == []


def test_a_lock_that_is_a_link_stays_one_and_its_target_has_the_commits(tmp_path: Path) -> None:
    for name in ("shared", "project"):
        (tmp_path / name).mkdir()
    path = tmp_path / "project" / "models.lock"
    path.symlink_to("../shared/models.lock")
    files = {"config.json": lock.LockedFile(2, "0" * 64)}
    pins: lock.Lock = {"acme/clip": (lock.LockedSource("acme/clip", None, "a" * 40, ("config",), None, files),)}
    for _ in range(2):  # the target is not there yet, and is
        lock.check_writable(path, {}, ["acme/clip"])
        lock.write(path, pins)
        assert path.is_symlink()
        assert lock.read(tmp_path / "shared" / "models.lock") == pins
        pins = {**pins, "acme/other": pins["acme/clip"]}


def test_the_target_of_a_lock_that_is_a_link_is_named_where_it_cannot_be_written(tmp_path: Path) -> None:
    """The directory of the link may be as it should be."""
    path, gone = tmp_path / "project" / "models.lock", tmp_path / "gone"
    path.parent.mkdir()
    path.symlink_to("../gone/models.lock")
    says = rf"project/models.lock leads to {gone}/models.lock, which cannot be .*: make the directory {gone}, or copy"
    with pytest.raises(LockError, match=says):
        lock.check_writable(path, {}, ["acme/clip"])
    with pytest.raises(LockError, match=says):
        lock.write(path, {})


def test_a_lock_of_another_version_is_refused_and_one_that_has_not_changed_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    path.write_text('{"version": 2, "models": {}}')
    with pytest.raises(LockError, match=r"models.lock has version 2, this builder knows 1: remove it and build"):
        lock.read(path)
    lock.write(path, {})
    written = path.stat().st_ino
    lock.write(path, {})
    assert path.stat().st_ino == written
    assert lock.read(path) == {}
