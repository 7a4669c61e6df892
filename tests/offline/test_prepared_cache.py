"""From a cache that open_clip's own calls prepared to a served bundle, in a process without a network."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.families.families import FAMILIES, Family
from tests.families.repositories import serve, third_repository
from tests.hub import prepared, repositories
from tests.hub.builder import ROOT, TINY, Builder, kill, without_network
from tests.hub.server import Hub, serving
from tests.offline.test_prepared_forms import state
from tests.offline.test_text_towers import BERT, NARROW
from tests.patience import SECONDS

LOAD = """
import sys
from layer.openclip import open_clip
model, _, transform = open_clip.create_model_and_transforms(sys.argv[1], require_pretrained=True)
ids = open_clip.get_tokenizer(sys.argv[1])(["a red circle"])
print(model.eval().encode_text(ids, normalize=True)[0, :4].tolist())
"""
VIT = '[[model]]\nname = "ViT-B-32"\npretrained = "laion2b_s34b_b79k"\nengine = "torch"\n'
THIRD = '[[model]]\nname = "hf-hub:acme/roberta-ViT-B-32"\nengine = "torch"\n'

SMALL = Family("roberta", "", "roberta-ViT-B-32", shrunk=NARROW, tower=BERT)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A model, and in another repository its tokenizer, which has no config.json."""
    root = tmp_path_factory.mktemp("hub")
    with serving() as hub:
        add(hub, root)
        yield hub


def add(hub: Hub, root: Path) -> None:
    hub.add("acme/tiny", repositories.tiny_model(root / "tiny", "acme/tokenizer"))
    hub.add("acme/tokenizer", repositories.tokenizer_without_config(root / "tokenizer"), license=None)


def add_large(hub: Hub, root: Path) -> Path:
    """The same model with weights of which a download takes a moment."""
    add(hub, root)
    large = hub.repositories["acme/tiny"].folder / "open_clip_model.safetensors"
    repositories.pad(large, 12_000_000)
    return large


def test_caches_of_open_clips_own_calls_become_a_bundle_without_a_network(hub: Hub, tmp_path: Path) -> None:
    """A random ViT-B-32, and a model that takes its tokenizer and its text tower's config from two repositories."""
    with serving() as own:
        own.repositories |= hub.repositories
        serve(own, next(family for family in FAMILIES if family.model == "ViT-B-32"), tmp_path / "hub")
        third_repository(own, tmp_path / "hub", SMALL)
        caches = [
            prepared.by_open_clip(own, tmp_path / "tiny", "hf-hub:acme/tiny"),
            prepared.by_open_clip(own, tmp_path / "vit", "ViT-B-32", "laion2b_s34b_b79k"),
            prepared.by_open_clip(own, tmp_path / "third", "hf-hub:acme/roberta-ViT-B-32"),
        ]
    home = tmp_path / "third-home"  # open_clip does not hand cache_dir on to the text tower's config
    assert list(home.glob("hub/models--roberta-base/snapshots/*/config.json"))
    before = [state(cache) for cache in caches]
    builder = Builder(tmp_path / "work", own, offline=True, environ={"HF_HUB_OFFLINE": "1", "HF_HOME": str(home)})

    run = builder.run(TINY + VIT + THIRD, *(word for cache in caches for word in ("--from", str(cache))))

    assert run.returncode == 0, run.stderr
    assert run.stderr.count("all hashes checked") == 6
    entries = {model["id"]: model for model in json.loads(builder.manifest)["models"]}
    assert [(source["repo"], source["roles"]) for source in entries["acme/roberta-ViT-B-32"]["sources"]] == [
        ("acme/roberta-ViT-B-32", ["weights", "config"]),
        ("acme/words", ["tokenizer"]),
        ("roberta-base", ["text_config"]),
    ]
    for model in entries.values():
        assert {source["revision"] for source in model["sources"]} == {
            own.repositories[source["repo"]].commit for source in model["sources"]
        }
    assert min(cosines(builder)) >= 0.99999
    assert [state(cache) for cache in caches] == before


def cosines(builder: Builder) -> Iterator[float]:
    """The lowest cosines of the shipped handler to open_clip, of each model's texts and images."""
    for report in builder.reports():
        assert report["token_ids_equal"]
        yield from (report["min_text_cosine"], report["min_image_cosine"])


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

    shutil.move(cache, tmp_path / "elsewhere" / "copied")
    named = f'cache = "copied"\n{TINY.replace("torch", "onnx")}'
    run = Builder(tmp_path / "elsewhere", hub, offline=True).run(named)

    assert run.returncode == 0, run.stderr
    assert run.stderr.count("all hashes checked") == 2


def test_a_fetch_that_was_killed_goes_on_and_its_output_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with serving() as hub:
        large = add_large(hub, tmp_path)
        hub.stalled.add(large.name)
        builder, output = Builder(tmp_path / "work", hub, command="fetch"), tmp_path / "model_cache"
        process = builder.start(TINY, "--output", str(output))
        deadline = time.monotonic() + SECONDS
        while not any(path.stat().st_size >= 5_000_000 for path in builder.root.rglob(f"{large.name}.partial")):
            assert time.monotonic() < deadline, "the download never came to its middle"
            time.sleep(0.05)
        kill(process)
        assert not output.exists()
        hub.stalled.clear()
        hub.requests.clear()

        run = builder.run(TINY, "--output", str(output))

        assert run.returncode == 0, run.stderr
        [resumed] = hub.ranges(large.name)[:1]
        assert resumed is not None
        [fetched] = output.rglob(large.name)
        assert fetched.read_bytes() == large.read_bytes()
        assert not list(output.rglob("*.partial"))


def test_where_xet_is_offered_and_fails_the_file_comes_by_http(tmp_path: Path) -> None:
    """The real Xet client is asked for; this hub, as a mirror may, offers it and has no such storage."""
    with serving() as hub:
        large = add_large(hub, tmp_path)
        hub.xet |= {"X-Xet-Hash": "0" * 64, "X-Xet-Refresh-Route": f"{hub.url}/api/xet-read-token"}
        builder = Builder(tmp_path / "work", hub, command="fetch")

        run = builder.run(TINY, "--output", str(tmp_path / "model_cache"), "--xet")

    assert run.returncode == 0, run.stderr
    assert "note: by HTTP, since Xet failed" in run.stderr
    assert any(path == "/api/xet-read-token" for _, path, _ in hub.requests)
    [fetched] = (tmp_path / "model_cache").rglob(large.name)
    assert fetched.read_bytes() == large.read_bytes()
