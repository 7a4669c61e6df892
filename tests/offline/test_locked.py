"""`build --locked` takes what models.lock has and nothing else, whatever models.toml and the disk have become since."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from layer.sources import lock
from tests.hub import repositories
from tests.hub.builder import TINY, Builder
from tests.hub.server import serving

OWN = '[[model]]\nname = "acme/own"\ncheckpoint = "{checkpoint}"\nengine = "torch"\n'
V2 = "2" * 40
OFFLINE = {"HF_HUB_OFFLINE": "1"}


@pytest.fixture
def fetched(tmp_path: Path) -> Iterator[Builder]:
    """A cache that `fetch` made of a model and its tokenizer, with their models.lock."""
    with serving() as hub:
        hub.add("acme/tiny", repositories.tiny_model(tmp_path / "tiny", "acme/tokens"))
        hub.add("acme/tokens", repositories.tokenizer_without_config(tmp_path / "tokens"))
        run = Builder(tmp_path / "work", hub, command="fetch").run(TINY)
        assert run.returncode == 0, run.stderr
        yield Builder(tmp_path / "work", hub, environ=OFFLINE)


def prepared(builder: Builder) -> Path:
    """The cache that was fetched, apart from the build's output."""
    return builder.bundle.rename(builder.root / "model_cache")


def test_another_revision_of_models_toml_is_not_taken_in_the_place_of_the_locks(fetched: Builder) -> None:
    cache = prepared(fetched)
    model = cache / "models--acme--tiny"
    locked = (model / "refs" / "main").read_text()
    shutil.copytree(model / "snapshots" / locked, model / "snapshots" / V2)
    config = json.loads((model / "snapshots" / V2 / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.1, 0.2, 0.3]
    (model / "snapshots" / V2 / "open_clip_config.json").write_text(json.dumps(config))
    (model / "refs" / "v2").write_text(V2)

    run = fetched.run(f'{TINY}revision = "v2"\n', "--locked", "--from", str(cache))

    assert run.returncode == 1
    assert f"acme/tiny: acme/tiny is at {V2}, models.lock has {locked}" in run.stderr
    assert "`python -m layer build` without --locked takes it" in run.stderr
    assert not fetched.bundle.exists()


def test_a_repository_that_the_lock_has_not_is_not_taken(fetched: Builder) -> None:
    cache = prepared(fetched)
    path = fetched.root / "models.lock"
    pins = lock.read(path)
    lock.write(path, {"acme/tiny": tuple(one for one in pins["acme/tiny"] if one.repo == "acme/tiny")})

    run = fetched.run(TINY, "--locked", "--from", str(cache))

    assert run.returncode == 1
    assert "acme/tiny takes its tokenizer from acme/tokens, which is not in the lock" in run.stderr
    assert not fetched.bundle.exists()


def test_a_checkpoint_of_ones_own_is_the_locks_or_none(tmp_path: Path) -> None:
    folder = shutil.copytree(repositories.demo_snapshot(), tmp_path / "own")
    spec = OWN.format(checkpoint=folder)
    with serving() as hub:
        builder = Builder(tmp_path / "work", hub, environ=OFFLINE)
        unknown = builder.run(spec, "--locked")
        first = builder.run(spec)
        bundle = builder.manifest
        config = folder / "open_clip_config.json"
        config.write_text(config.read_text().replace('"squash"', '"longest"'))
        other = builder.run(spec, "--locked")

    assert "models.lock has no acme/own: run `python -m layer build` once without --locked" in unknown.stderr
    assert first.returncode == 0, first.stderr
    assert other.returncode == 1
    assert "acme/own: its checkpoint, config or tokenizer have other contents than when the lock" in other.stderr
    assert builder.manifest == bundle


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_a_download_that_the_disk_lost_a_part_of_is_not_built(fetched: Builder, engine: str) -> None:
    """After a power cut a file may have its name and its length, and zeros at its end."""
    fetched.bundle.rename(fetched.root / "model_cache")
    [weights] = fetched.root.glob("cache/hub/models--acme--tiny/*/open_clip_model.safetensors")
    pins = lock.read(fetched.root / "models.lock")["acme/tiny"]
    [known] = [source.files[weights.name].sha256 for source in pins if weights.name in source.files]
    with weights.open("r+b") as stream:
        stream.seek(-4096, 2)
        stream.write(bytes(4096))

    run = fetched.run(TINY.replace("torch", engine))

    assert run.returncode == 1
    assert f"{weights} has sha256 " in run.stderr
    assert f"and it had {known} when it was fetched" in run.stderr
    assert not fetched.bundle.exists()
