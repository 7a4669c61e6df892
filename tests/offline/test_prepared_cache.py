"""From a cache that open_clip's own calls prepared to a served bundle, in a process without a network."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import prepared, repositories
from tests.hub.builder import ROOT, TINY, Builder, without_network
from tests.hub.server import Hub, serving
from tests.offline.test_prepared_forms import state

LOAD = """
import sys
from layer.openclip import open_clip
model, _, transform = open_clip.create_model_and_transforms(sys.argv[1], require_pretrained=True)
ids = open_clip.get_tokenizer(sys.argv[1])(["a red circle"])
print(model.eval().encode_text(ids, normalize=True)[0, :4].tolist())
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A model, and in another repository its tokenizer, which has no config.json."""
    root = tmp_path_factory.mktemp("hub")
    with serving() as hub:
        hub.add("acme/tiny", repositories.tiny_model(root / "tiny", "acme/tokenizer"))
        hub.add("acme/tokenizer", repositories.tokenizer_without_config(root / "tokenizer"), license=None)
        yield hub


def test_a_cache_of_open_clips_own_calls_becomes_a_bundle_without_a_network(hub: Hub, tmp_path: Path) -> None:
    cache = prepared.by_open_clip(hub, tmp_path / "model_cache", "hf-hub:acme/tiny")
    before = state(cache)
    builder = Builder(tmp_path / "work", hub, offline=True)

    run = builder.run(TINY, "--from", str(cache))

    assert run.returncode == 0, run.stderr
    assert "acme/tokenizer at" in run.stderr
    assert "all hashes checked" in run.stderr
    [model] = json.loads(builder.manifest)["models"]
    assert [(source["repo"], source["revision"]) for source in model["sources"]] == [
        (repo, repository.commit) for repo, repository in hub.repositories.items()
    ]
    assert state(cache) == before


def test_what_fetch_makes_loads_in_open_clip_offline_and_is_built_from(hub: Hub, tmp_path: Path) -> None:
    cache = tmp_path / "model_cache"
    fetched = Builder(tmp_path / "work", hub, command="fetch").run(TINY, "--output", str(cache))
    assert fetched.returncode == 0, fetched.stderr
    assert not [path for path in cache.rglob("*") if path.is_symlink()], "a portable cache has real files"
    assert subprocess.run([sys.executable, "-m", "layer", "doctor", str(cache)], cwd=ROOT, check=False).returncode == 0

    environ = {"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    command = [*without_network(), "-c", LOAD, "hf-hub:acme/tiny"]
    loaded = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
    listed = json.loads((cache / "openclip-cache.json").read_text())["repositories"]
    assert [(one["repo"], one["revision"], one["license"]) for one in listed] == [
        (repo, repository.commit, repository.license) for repo, repository in hub.repositories.items()
    ]

    run = Builder(tmp_path / "elsewhere", hub, offline=True).run(TINY, "--from", str(cache))

    assert run.returncode == 0, run.stderr
    assert run.stderr.count("all hashes checked") == 2
