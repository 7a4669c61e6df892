"""The bundle's caches in /tmp: by link or by copy, whole or not at all, and never over its edge."""

import hashlib
import shutil
from pathlib import Path

import pytest

from handler.engines import hf_cache
from handler.errors import CacheError
from handler.manifest import BundleFile, Manifest
from handler.settings import Settings

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
