"""models.lock and rebuilds: pinned until told otherwise, nothing made twice, never a bundle that does not verify."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from layer.bundle import build_cache, manifest
from layer.bundle.records import BundleFile
from layer.bundle.verify import verify
from layer.sources import lock
from layer.spec import ModelSpec, read_spec
from tests.hub import repositories
from tests.hub.builder import ROOT, TINY, Builder, killed_at
from tests.hub.server import Hub, serving
from tests.unit import manifests

TWO = TINY + TINY.replace("acme/tiny", "acme/second")
IMPORTS_TOLD = {"PYTHONPROFILEIMPORTTIME": "1"}
HEAVY = {"torch", "open_clip", "transformers", "onnxruntime", "openvino"}  # what takes seconds to import


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """A build of two models that share their tokenizer's repository, once for all tests: none changes it."""
    root = tmp_path_factory.mktemp("lock")
    with serving() as hub:
        hub.add("acme/tiny", repositories.tiny_model(root / "tiny", "acme/tokenizer"))
        hub.add("acme/second", repositories.tiny_model(root / "second", "acme/tokenizer"), license=None)
        hub.add("acme/tokenizer", repositories.tokenizer_without_config(root / "tokenizer"))
        builder = Builder(root / "work", hub)
        run = builder.run(TWO)
        assert run.returncode == 0, run.stderr
        yield builder


@pytest.fixture
def builder(first: Builder, tmp_path: Path) -> Iterator[Builder]:
    """A copy of that build, and of its hub, for one test to go on from."""
    with serving() as hub:
        for name, repository in first.hub.repositories.items():
            folder = shutil.copytree(repository.folder, tmp_path / repository.folder.name)
            hub.add(name, folder, license=repository.license)
        yield Builder(shutil.copytree(first.root, tmp_path / "work", symlinks=True), hub)


def imported(stderr: str) -> set[str]:
    """The packages that a command told to have imported, and those that it started."""
    return {found.partition(".")[0] for found in re.findall(r"^import time:.*\| +(\S+)$", stderr, re.MULTILINE)}


def processor_seconds() -> float:
    """What the processes have computed that this one has started and that are over."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def downloads(hub: Hub) -> list[str]:
    return [path for method, path, _ in hub.requests if method == "GET" and "/resolve/" in path]


def made(builder: Builder) -> dict[str, int]:
    """When each model's bundle was made."""
    places = builder.root.glob("cache/built/*/*/report.json")
    return {place.parents[1].name: place.stat().st_mtime_ns for place in places}


def test_a_build_killed_after_its_first_model_goes_on_with_the_second(builder: Builder, tmp_path: Path) -> None:
    builder = Builder(tmp_path / "anew", builder.hub)
    killed = replace(builder, environ=killed_at("/making/acme--second", tmp_path)).run(TWO)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    finished = made(builder)
    assert list(finished) == ["acme--tiny"]
    assert not builder.bundle.exists()

    run = builder.run(TWO)

    assert run.returncode == 0, run.stderr
    assert made(builder)["acme--tiny"] == finished["acme--tiny"]
    assert [model["id"] for model in json.loads(builder.manifest)["models"]] == ["acme/tiny", "acme/second"]
    assert verify(builder.bundle)["ok"]


def test_the_lock_holds_commit_size_and_hash_of_every_file_and_shared_repositories_come_once(first: Builder) -> None:
    pins = lock.read(first.root / "models.lock")

    assert list(pins) == ["acme/second", "acme/tiny"]
    for sources in pins.values():
        for source in sources:
            repository = first.hub.repositories[source.repo]
            assert (source.asked, source.revision, source.license) == (None, repository.commit, repository.license)
            for name, file in source.files.items():
                path = repository.folder / name
                assert (file.size, file.sha256) == (path.stat().st_size, first.hub.sha256(path))
    assert len([path for path in downloads(first.hub) if path.endswith("/tokenizer.json")]) == 1


def test_a_second_build_asks_nobody_and_changes_nothing(builder: Builder) -> None:
    before, finished, url = builder.manifest, made(builder), builder.hub.url
    builder.hub.url = "http://127.0.0.1:9"  # where nothing listens

    run = replace(builder, environ=IMPORTS_TOLD).run(TWO)

    builder.hub.url = url
    assert run.returncode == 0, run.stderr
    assert (builder.manifest, made(builder)) == (before, finished)
    assert imported(run.stderr) & HEAVY == set()


def test_a_model_more_leaves_the_others_alone_and_one_less_too(builder: Builder) -> None:
    finished = made(builder)

    less = builder.run(TINY)

    assert less.returncode == 0, less.stderr
    assert [model["id"] for model in json.loads(builder.manifest)["models"]] == ["acme/tiny"]
    assert verify(builder.bundle)["ok"]
    assert builder.run(TWO).returncode == 0
    assert made(builder) == finished


def test_a_file_changed_in_the_bundle_is_made_good_again(builder: Builder) -> None:
    [config] = builder.bundle.glob("models/acme--tiny/hub/models--acme--tiny/snapshots/*/open_clip_config.json")
    config.write_text(config.read_text() + " ")

    run = builder.run(TWO)

    assert run.returncode == 0, run.stderr
    assert verify(builder.bundle)["ok"]


def test_a_branch_that_moved_is_not_taken_until_update_which_shows_what_changed(builder: Builder) -> None:
    config = builder.hub.repositories["acme/second"].folder / "open_clip_config.json"
    old = builder.hub.repositories["acme/second"].commit
    config.write_text(config.read_text() + "\n")
    builder.hub.digests.clear()
    new = builder.hub.repositories["acme/second"].commit
    builder.hub.requests.clear()
    finished = made(builder)

    kept, locked = builder.run(TWO), builder.run(TWO, "--locked")
    assert kept.returncode == 0, kept.stderr
    assert made(builder) == finished
    assert locked.returncode == 1
    assert f"acme/second is at {new}, models.lock has {old}" in locked.stderr
    assert "`python -m layer build --update` uses them" in locked.stderr

    updated = builder.run(TWO, "--update")
    assert updated.returncode == 0, updated.stderr
    assert f"acme/second: acme/second {old[:12]} -> {new[:12]}" in updated.stderr
    size = config.stat().st_size
    assert f"  open_clip_config.json: {size - 1} bytes, sha256 " in updated.stderr
    assert f" -> {size} bytes, sha256 {builder.hub.sha256(config)[:12]}" in updated.stderr
    assert downloads(builder.hub) == [f"/acme/second/resolve/{new}/{config.name}"]
    assert made(builder)["acme--tiny"] == finished["acme--tiny"]
    assert builder.run(TWO, "--locked").returncode == 0


def test_a_model_added_later_takes_a_shared_repository_at_the_commit_that_the_others_have(builder: Builder) -> None:
    tokenizer = builder.hub.repositories["acme/tokenizer"]
    old = tokenizer.commit
    builder.hub.add("acme/third", repositories.tiny_model(builder.root.parent / "third", "acme/tokenizer"))
    (tokenizer.folder / "added_tokens.json").write_text("{}")
    assert tokenizer.commit != old

    run = builder.run(TWO + TINY.replace("acme/tiny", "acme/third"))

    (tokenizer.folder / "added_tokens.json").unlink()
    assert run.returncode == 0, run.stderr
    pins = lock.read(builder.root / "models.lock")
    commits = {s.revision for sources in pins.values() for s in sources if s.repo == "acme/tokenizer"}
    assert (len(pins), commits) == (3, {old})


def test_other_bytes_at_the_same_commit_are_refused(builder: Builder) -> None:
    table = builder.hub.repositories["acme/tokenizer"].folder / "special_tokens_map.json"
    commit = builder.hub.repositories["acme/tokenizer"].commit
    table.write_text(table.read_text().replace(" ", "\t", 1))
    assert builder.hub.repositories["acme/tokenizer"].commit == commit, "the test hub's commits are of names and sizes"
    elsewhere = Builder(builder.root.parent / "fresh", builder.hub)
    elsewhere.root.mkdir()
    (elsewhere.root / "models.lock").write_bytes((builder.root / "models.lock").read_bytes())

    run = elsewhere.run(TWO, "--locked")

    assert run.returncode == 1
    assert "special_tokens_map.json of acme/tokenizer, for acme/tiny, has sha256" in run.stderr
    assert "somebody changed it" in run.stderr


def test_a_lock_that_lacks_a_model_or_is_damaged_is_named(builder: Builder, tmp_path: Path) -> None:
    elsewhere = Builder(tmp_path / "anew", builder.hub)

    assert "models.lock has no acme/tiny: run `python -m layer build` once" in elsewhere.run(TINY, "--locked").stderr
    (elsewhere.root / "models.lock").write_text("<<<<<<< HEAD")
    assert "models.lock is damaged" in elsewhere.run(TINY).stderr


def test_ten_finished_models_are_neither_loaded_nor_hashed_again(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(
        "".join(f'[[model]]\nname = "hf-hub:acme/m{number}"\n' for number in range(10))
    )
    spec = read_spec(tmp_path / "models.toml")
    pins: lock.Lock = {model.id: (_source(model),) for model in spec.models}
    lock.write(tmp_path / "models.lock", pins)
    for model in spec.models:
        bundle = tmp_path / "bundle-of-one"
        folder = bundle / "models" / model.slug / "openvino"
        folder.mkdir(parents=True)
        with (folder / "image.bin").open("wb") as weights:
            weights.truncate(100_000_000)  # a hole: as large as a real one to stat, nothing to hash twice
        report = {"id": model.id, "token_ids_equal": True, "min_text_cosine": 1.0, "min_image_cosine": 1.0}
        path = f"models/{model.slug}/openvino/image.bin"
        files = [BundleFile(path, 100_000_000, "0" * 64)]
        manifest.write_facts(bundle, manifests.manifest_of([manifests.model(model.id)], files))
        digest = build_cache.fingerprint(model, pins[model.id], None)
        build_cache.store(tmp_path / "cache", model, digest, bundle, {"models": [{**report, "load_seconds": 0.1}]})
    command = [sys.executable, "-m", "layer", "build", "--models", str(tmp_path / "models.toml")]
    command += ["--output", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]

    for _ in range(2):
        environ = {**os.environ, **IMPORTS_TOLD}
        before = processor_seconds()
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environ, check=False)
        spent = processor_seconds() - before
        assert run.returncode == 0, run.stderr
        assert imported(run.stderr) & HEAVY == set()
    assert spent < 3
    assert len(json.loads((tmp_path / "out" / "manifest.json").read_text())["files"]) == 10


def _source(model: ModelSpec) -> lock.LockedSource:
    return lock.LockedSource(model.id, None, "a" * 40, ("weights",), None, {})
