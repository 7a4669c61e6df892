"""The bundle's caches in /tmp: by link or by copy, whole or not at all, and never over its edge."""

import errno
import fcntl
import hashlib
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from handler.engines import hf_cache, torch_engine
from handler.errors import CacheError
from handler.manifest import BundleFile, Manifest
from handler.settings import Settings
from tests.patience import SECONDS

REPO = "models--org--name"
COMMIT = "a" * 40


def bundle(root: Path, contents: dict[str, str]) -> Manifest:
    files = []
    for path, text in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
        files.append(BundleFile(path, len(text), hashlib.sha256(text.encode()).hexdigest()))
    return Manifest(root, repr(files).encode(), (), tuple(files))


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return bundle(
        tmp_path / "bundle",
        {
            f"models/a/hub/{REPO}/refs/main": COMMIT,
            f"models/a/hub/{REPO}/snapshots/{COMMIT}/config.json": "{}",
            "models/b/hub/models--org--other/refs/main": COMMIT,
            "models/b/onnx/image.onnx": "graph",
        },
    )


def settings(tmp_path: Path, mode: str) -> Settings:
    return Settings(cache_dir=tmp_path / "tmp", cache_mode=mode)


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_every_models_repositories_come_together_under_one_hub(tmp_path: Path, manifest: Manifest, mode: str) -> None:
    hub = hf_cache.prepare(manifest, settings(tmp_path, mode))

    assert hub == tmp_path / "tmp" / "hub"
    assert (hub / REPO / "refs" / "main").read_text() == COMMIT
    assert (hub / "models--org--other" / "refs" / "main").read_text() == COMMIT
    assert (hub / REPO / "snapshots" / COMMIT / "config.json").is_symlink() == (mode == "link")
    assert not list(hub.rglob("image.onnx")), "a fast engine's files are read where they are"


def test_the_second_call_touches_nothing(tmp_path: Path, manifest: Manifest) -> None:
    first = hf_cache.prepare(manifest, settings(tmp_path, "copy"))
    before = first.stat().st_ino

    assert hf_cache.prepare(manifest, settings(tmp_path, "copy")).stat().st_ino == before


def test_a_half_copy_of_a_killed_start_is_never_used_and_does_not_stay(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    copied: list[Path] = []

    def killed_at_the_second_file(source: Path, target: Path) -> None:
        if copied:
            raise Killed
        target.write_bytes(source.read_bytes())
        copied.append(target)

    monkeypatch.setattr(shutil, "copyfile", killed_at_the_second_file)
    with pytest.raises(Killed):
        hf_cache.prepare(manifest, settings(tmp_path, "copy"))
    assert not (tmp_path / "tmp" / "hub").exists()
    assert list((tmp_path / "tmp").glob("hub-*")), "the half copy is there, aside"

    monkeypatch.undo()
    hub = hf_cache.prepare(manifest, settings(tmp_path, "copy"))

    assert (hub / REPO / "snapshots" / COMMIT / "config.json").read_text() == "{}"
    assert not list((tmp_path / "tmp").glob("hub-*")), "nor does it fill /tmp"


def test_a_hub_directory_without_its_mark_is_built_anew(tmp_path: Path, manifest: Manifest) -> None:
    stale = tmp_path / "tmp" / "hub" / REPO / "refs" / "main"
    stale.parent.mkdir(parents=True)
    stale.write_text("half")

    hub = hf_cache.prepare(manifest, settings(tmp_path, "link"))

    assert (hub / REPO / "refs" / "main").read_text() == COMMIT


def test_another_bundle_replaces_the_one_that_was_there(tmp_path: Path, manifest: Manifest) -> None:
    hf_cache.prepare(manifest, settings(tmp_path, "link"))
    other = bundle(tmp_path / "new", {f"models/a/hub/{REPO}/refs/main": "b" * 40})

    hub = hf_cache.prepare(other, settings(tmp_path, "link"))

    assert (hub / REPO / "refs" / "main").read_text() == "b" * 40
    assert not (hub / "models--org--other").exists()


def test_a_copy_that_does_not_fit_is_refused_before_it_starts(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 95, 5))

    with pytest.raises(CacheError, match=r"ephemeral storage, or set OPENCLIP_CACHE_MODE=link"):
        hf_cache.prepare(manifest, settings(tmp_path, "copy"))

    assert [path.name for path in (tmp_path / "tmp").iterdir()] == [".lock"]
    assert hf_cache.prepare(manifest, settings(tmp_path, "link")).is_dir(), "links need no space"


def test_one_repository_at_two_commits_is_refused(tmp_path: Path) -> None:
    manifest = bundle(
        tmp_path / "bundle",
        {f"models/a/hub/{REPO}/refs/main": COMMIT, f"models/b/hub/{REPO}/refs/main": "b" * 40},
    )

    with pytest.raises(CacheError, match="pin both models to one revision"):
        hf_cache.prepare(manifest, settings(tmp_path, "link"))


def test_one_tokenizer_shared_by_two_models_is_copied_once(tmp_path: Path) -> None:
    path = f"hub/models--bert-base-uncased/snapshots/{COMMIT}/tokenizer.json"
    manifest = bundle(tmp_path / "bundle", {f"models/a/{path}": "{}", f"models/b/{path}": "{}"})

    hub = hf_cache.prepare(manifest, settings(tmp_path, "link"))

    assert len([found for found in hub.rglob("*") if found.is_symlink()]) == 1


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_a_bundle_that_was_moved_is_brought_again(tmp_path: Path, manifest: Manifest, mode: str) -> None:
    """Its manifest is the same, and links lead to where it was."""
    hf_cache.prepare(manifest, settings(tmp_path, mode))
    moved = manifest._replace(bundle_dir=manifest.bundle_dir.rename(tmp_path / "moved"))

    hub = hf_cache.prepare(moved, settings(tmp_path, mode))

    assert (hub / REPO / "refs" / "main").read_text() == COMMIT


@pytest.mark.parametrize("damage", ["remove", "cut"])
def test_a_copy_of_which_a_part_was_tidied_away_is_made_again(tmp_path: Path, manifest: Manifest, damage: str) -> None:
    """As a workstation's /tmp is, file by file, some days after each was read."""
    config = hf_cache.prepare(manifest, settings(tmp_path, "copy")) / REPO / "snapshots" / COMMIT / "config.json"
    config.unlink() if damage == "remove" else config.write_text("")

    hf_cache.prepare(manifest, settings(tmp_path, "copy"))

    assert config.read_text() == "{}"


def test_another_bundle_waits_until_who_reads_is_done_and_the_same_one_does_not(
    tmp_path: Path, manifest: Manifest
) -> None:
    """Each lock is of an open file, so threads take turns as processes do."""
    other = bundle(tmp_path / "new", {f"models/a/hub/{REPO}/refs/main": "b" * 40})
    hf_cache.prepare(manifest, settings(tmp_path, "link"))
    with hf_cache.held(manifest, settings(tmp_path, "link")) as hub:
        assert hf_cache.prepare(manifest, settings(tmp_path, "link")) == hub
        waiting = threading.Thread(target=hf_cache.prepare, args=(other, settings(tmp_path, "link")), daemon=True)
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        assert (hub / REPO / "refs" / "main").read_text() == COMMIT
    waiting.join(SECONDS)
    assert (hub / REPO / "refs" / "main").read_text() == "b" * 40


@pytest.mark.parametrize("refused", ["mkdir", "symlink_to"])
def test_what_the_system_refuses_is_told_with_the_fix(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """Another user's directory, a disk that is full, a file system that is read-only."""

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, refused, refuse)
    with pytest.raises(CacheError, match=r"tmp.*No space left on device.*set OPENCLIP_CACHE_DIR to a directory"):
        hf_cache.prepare(manifest, settings(tmp_path, "link"))


def test_a_model_is_read_while_no_other_bundle_can_take_its_place(
    tmp_path: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = SimpleNamespace(tokenizer={})
    free: dict[str, bool] = {}

    def read(name: str) -> None:
        with (tmp_path / "tmp" / ".lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free[name] = True
            except BlockingIOError:
                free[name] = False

    monkeypatch.setattr(torch_engine, "import_open_clip", lambda _: read("imports"))
    monkeypatch.setattr(torch_engine, "_load_tokenizer", lambda *_: read("tokenizer"))
    monkeypatch.setattr(torch_engine, "_load_model", lambda *_: read("model"))
    torch_engine.TorchEngine(entry, manifest, settings(tmp_path, "link"))  # type: ignore[arg-type]
    read("later")
    assert free == {"imports": True, "tokenizer": False, "model": False, "later": True}
