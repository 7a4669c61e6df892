"""The builder against a hub: what it fetches, how it fails, and that a bundle in place is never hurt."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from layer.sources.fetch import WORKERS
from tests.hub import repositories
from tests.hub.builder import TINY, Builder, kill
from tests.hub.server import Hub, serving
from tests.patience import SECONDS

ROOT = Path(__file__).parents[2]


# What a build does first, for all of its models.
GATHER = """
import sys
from pathlib import Path
from layer.sources.download import gather
from layer.spec import read_spec
print(len(gather(read_spec(Path(sys.argv[1])).models, Path(sys.argv[2]), {})))
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub with a model and, in another repository, its tokenizer."""
    with serving() as hub:
        hub.add("acme/tiny", repositories.tiny_model(tmp_path / "tiny", "acme/tokenizer"))
        hub.add("acme/tokenizer", repositories.tokenizer_without_config(tmp_path / "tokenizer"), license=None)
        yield hub


@pytest.fixture
def builder(tmp_path: Path, hub: Hub) -> Builder:
    return Builder(tmp_path / "work", hub)


def test_a_model_comes_with_its_tokenizers_repository_pinned_and_with_nothing_unneeded(builder: Builder) -> None:
    repositories.pad(builder.hub.repositories["acme/tiny"].folder / "open_clip_model.safetensors", 12_000_000)
    builder.hub.cut_once.add("open_clip_model.safetensors")

    run = builder.run()

    assert run.returncode == 0, run.stderr
    manifest = json.loads(builder.manifest)
    [model] = manifest["models"]
    commits = {repo: repository.commit for repo, repository in builder.hub.repositories.items()}
    assert model["sources"] == [
        {"repo": "acme/tiny", "revision": commits["acme/tiny"], "roles": ["weights", "config"], "license": "mit"},
        {"repo": "acme/tokenizer", "revision": commits["acme/tokenizer"], "roles": ["tokenizer"], "license": None},
    ]
    names = {file["path"].rpartition("/")[2] for file in manifest["files"]}
    assert names == {
        *("main", "open_clip_config.json", "open_clip_model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
        "config.json",  # the note that there is none
    }
    asked = builder.hub.ranges("tiny/open_clip_model.safetensors")
    assert asked[0] is None
    assert asked[1] is not None, "the connection broke once, and the download went on from there"


def test_a_second_build_downloads_nothing_and_any_user_may_read_its_bundle_whatever_the_umask(builder: Builder) -> None:
    assert builder.run().returncode == 0
    builder.hub.requests.clear()
    previous = os.umask(0o077)
    try:
        run = builder.run()
    finally:
        os.umask(previous)

    assert run.returncode == 0, run.stderr
    assert not [path for method, path, _ in builder.hub.requests if method == "GET" and "/resolve/" in path]
    modes = {path.stat().st_mode & 0o777 for path in [builder.bundle, *builder.bundle.rglob("*")]}
    assert modes == {0o755, 0o644}


def test_going_back_to_models_that_are_kept_makes_the_bundle_of_before_hash_included(builder: Builder) -> None:
    builder.hub.add("acme/other", repositories.tiny_model(builder.root.parent / "other", "acme/tokenizer"))
    both = TINY + TINY.replace("acme/tiny", "acme/other")
    manifests = []
    for spec in (TINY, both, TINY, both):  # a build takes longer than a second, which is how exact the times are
        run = builder.run(spec)
        assert run.returncode == 0, run.stderr
        manifests.append(builder.manifest)

    assert manifests[2:] == manifests[:2], "the index and the batch would refuse the vectors of before"
    assert manifests[0] != manifests[1]


def test_a_killed_build_leaves_the_bundle_that_was_there_and_its_download_goes_on(builder: Builder) -> None:
    builder.bundle.mkdir(parents=True)
    (builder.bundle / "manifest.json").write_text("the bundle of an earlier build")
    large = builder.hub.repositories["acme/tiny"].folder / "open_clip_model.safetensors"
    repositories.pad(large, 12_000_000)
    builder.hub.stalled.add(large.name)
    process = builder.start()
    partial = f"cache/hub/models--acme--tiny/*/{large.name}.partial"
    deadline = time.monotonic() + SECONDS
    while not any(path.stat().st_size >= 5_000_000 for path in builder.root.glob(partial)):
        assert time.monotonic() < deadline, "the download never came to its middle"
        time.sleep(0.05)

    kill(process)

    assert builder.manifest == b"the bundle of an earlier build"
    builder.hub.stalled.clear()
    builder.hub.requests.clear()
    run = builder.run()
    assert run.returncode == 0, run.stderr
    [resumed] = builder.hub.ranges(large.name)[:1]
    assert resumed is not None
    assert int(resumed.removeprefix("bytes=").rstrip("-")) >= 5_000_000
    assert json.loads(builder.manifest)["models"][0]["id"] == "acme/tiny"


def test_ten_models_are_downloaded_several_at_a_time_under_one_bar(tmp_path: Path, hub: Hub) -> None:
    names = [f"acme/number-{number}" for number in range(10)]
    for name in names:
        hub.add(name, repositories.tiny_model(tmp_path / name, "acme/tokenizer"))
    (tmp_path / "models.toml").write_text("".join(TINY.replace("acme/tiny", name) for name in names))
    hub.wait_for = WORKERS  # a client that takes one after the other keeps the first waiting in vain

    run = subprocess.run(
        [sys.executable, "-c", GATHER, str(tmp_path / "models.toml"), str(tmp_path / "cache")],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stdout) == (0, "10\n"), run.stderr
    assert hub.most_at_once >= WORKERS
    weights = [path for method, path, _ in hub.requests if method == "GET" and path.startswith("/cdn/")]
    assert sorted(weights) == sorted(f"/cdn/{name}/open_clip_model.safetensors" for name in names)
    bars = {view.partition(":")[0] for view in re.split(r"[\r\n]+", run.stderr) if view.strip()}
    assert bars == {"downloading 13 files"}, run.stderr
    assert "100%" in run.stderr


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda hub: hub.repositories.pop("acme/tiny"), "acme/tiny .* is not there, or is private: .* HF_TOKEN"),
        (lambda hub: hub.repositories.pop("acme/tokenizer"), "acme/tokenizer .* is not there, or is private"),
        (lambda hub: setattr(hub.repositories["acme/tiny"], "gated", True), "acme/tiny .* is gated: accept its terms"),
        (lambda hub: hub.broken.add("acme/tokenizer"), "acme/tokenizer .* was refused by the hub: try again later"),
        (lambda hub: hub.wrong_bytes.add("open_clip_model.safetensors"), "has the hash .*, the hub says .* removed"),
        (lambda hub: hub.wrong_bytes.add("tokenizer.json"), "tokenizer.json of acme/tokenizer has the hash"),
        (
            lambda hub: (hub.repositories["acme/tiny"].folder / "open_clip_model.safetensors").unlink(),
            "acme/tiny has no open_clip_model.safetensors and no open_clip_pytorch_model.bin",
        ),
        (
            lambda hub: (hub.repositories["acme/tokenizer"].folder / "tokenizer.json").unlink(),
            "acme/tokenizer has no tokenizer",
        ),
    ],
    ids=["no model", "no tokenizer repository", "gated", "500", "damaged LFS", "damaged", "no weights", "no tokenizer"],
)
def test_what_the_hub_does_not_give_is_named_with_the_fix(
    builder: Builder, break_it: Callable[[Hub], object], says: str
) -> None:
    break_it(builder.hub)

    run = builder.run()

    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    error = run.stderr[run.stderr.rindex("error: ") :]
    assert re.search(says, error), error
    assert not builder.bundle.exists()


def test_a_revision_that_is_not_there_is_named(builder: Builder) -> None:
    run = builder.run(f'{TINY}revision = "v9"')

    assert run.returncode == 1
    assert "acme/tiny at v9" in run.stderr
    assert "has no such revision: check `revision` in models.toml" in run.stderr


def test_without_a_network_the_hub_is_named(builder: Builder) -> None:
    builder.hub.url = "http://127.0.0.1:9"  # the discard port, where nothing listens

    run = builder.run()

    assert run.returncode == 1
    assert "127.0.0.1:9 cannot be reached" in run.stderr


def test_a_registry_pair_is_read_from_open_clips_registry(builder: Builder) -> None:
    run = builder.run('[[model]]\nname = "ViT-B-32"\npretrained = "nonsense"')

    assert run.returncode == 1
    assert "'nonsense', which is not a tag of ViT-B-32. Its tags are openai, laion400m_e31" in run.stderr
