"""What breaks OpenCLIP offline, each shown to break open_clip itself, and the check that names it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from layer.bundle import reference, sandbox
from layer.bundle.verify import run_handler, verify
from layer.errors import CacheLayoutError, GoldenError, VerifyError
from layer.sources.fetch import Fetched
from layer.sources.hf_cache import place
from tests.hub import repositories

MODEL = "hf-hub:openclip-lambda/shapes-i18n"
REPO = "models--openclip-lambda--shapes-i18n"


@pytest.fixture
def bundle(demo_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the demo bundle, to break."""
    return Path(shutil.copytree(demo_bundle, tmp_path / "bundle"))


def hub_of(bundle: Path) -> Path:
    [hub] = bundle.glob("models/*/hub")
    return hub


def snapshot_of(bundle: Path) -> Path:
    [snapshot] = hub_of(bundle).glob(f"{REPO}/snapshots/*")
    return snapshot


def refs_of(bundle: Path) -> Path:
    return hub_of(bundle) / REPO / "refs" / "main"


def add_newline(bundle: Path) -> None:
    refs_of(bundle).write_text(refs_of(bundle).read_text() + "\n")


def dangle(bundle: Path) -> None:
    weights = snapshot_of(bundle) / "open_clip_model.safetensors"
    weights.unlink()
    weights.symlink_to("../../blobs/not-copied")


# What was done to the cache, whether open_clip still loads from it, and what `verify` says.
@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda bundle: shutil.rmtree(refs_of(bundle).parent), r"refs/main is missing"),
        (add_newline, r"refs/main ends in white space"),
        (lambda bundle: (snapshot_of(bundle) / "tokenizer.json").unlink(), r"tokenizer.json is missing"),
        (lambda bundle: (snapshot_of(bundle) / "open_clip_model.safetensors").unlink(), r"safetensors is missing"),
        (dangle, r"open_clip_model.safetensors is a link .*a copy of it elsewhere leads nowhere"),
    ],
    ids=["refs missing", "newline in refs/main", "tokenizer missing", "weights missing", "dangling link"],
)
def test_a_broken_cache_fails_open_clip_and_is_named(bundle: Path, break_it: Callable[[Path], None], says: str) -> None:
    break_it(bundle)

    with pytest.raises(GoldenError, match="open_clip cannot load"):
        reference.compute(MODEL, None, hub_of(bundle))
    with pytest.raises(VerifyError, match=says):
        verify(bundle)


def test_a_tokenizer_repository_without_config_json_needs_the_note_that_there_is_none(
    demo_bundle: Path, tmp_path: Path
) -> None:
    model = repositories.tiny_model(tmp_path / "tiny", "acme/tokenizer")
    tokenizer = repositories.tokenizer_without_config(tmp_path / "tokenizer")
    hub = tmp_path / "hub"
    files = ("open_clip_model.safetensors", "open_clip_config.json")
    place(Fetched("acme/tiny", "a" * 40, ("weights", "config"), None, files, model), hub)
    place(Fetched("acme/tokenizer", "b" * 40, ("tokenizer",), None, repositories.TOKENIZER_NAMES, tokenizer), hub)
    assert reference.compute("hf-hub:acme/tiny", None, hub).tokenizer.kind == "hf"

    shutil.rmtree(hub / "models--acme--tokenizer" / ".no_exist")

    with pytest.raises(GoldenError):
        reference.compute("hf-hub:acme/tiny", None, hub)


def test_a_missing_tokenizer_repository_fails_open_clip_and_is_named(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["models"][0]["sources"].append(
        {"repo": "timm/ViT-B-16-SigLIP", "revision": "c" * 40, "roles": ["tokenizer"], "license": None}
    )
    (bundle / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(VerifyError, match=r"timm/ViT-B-16-SigLIP is missing .* takes its tokenizer from it"):
        verify(bundle)


def test_trees_left_behind_break_an_offline_snapshot_download_and_are_named(bundle: Path) -> None:
    download = (
        "import sys, huggingface_hub\n"
        "huggingface_hub.snapshot_download('openclip-lambda/shapes-i18n', cache_dir=sys.argv[1], local_files_only=True)"
    )
    command = [sys.executable, "-c", download, str(hub_of(bundle))]
    assert subprocess.run(command, check=False).returncode == 0, "without trees/ the snapshot is whole"
    trees = hub_of(bundle) / REPO / "trees"
    trees.mkdir()
    listing = {"format_version": 1, "files": {"flax_model.msgpack": {"size": 3, "blob_id": "0" * 40}}}
    (trees / f"{snapshot_of(bundle).name}.json").write_text(json.dumps(listing))

    broken = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "IncompleteSnapshotError" in broken.stderr
    with pytest.raises(VerifyError, match=r"trees is left over: with files pruned"):
        verify(bundle)


def test_a_link_out_of_the_cache_is_followed_and_one_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    store, folder = tmp_path / "shared-blobs", tmp_path / "snapshot"
    store.mkdir()
    folder.mkdir()
    (store / "blob").write_text("content")
    (folder / "config.json").symlink_to(store / "blob")
    fetched = Fetched("org/name", "a" * 40, ("text_config",), None, ("config.json",), folder)

    place(fetched, tmp_path / "hub")

    [placed] = (tmp_path / "hub").rglob("config.json")
    assert not placed.is_symlink()
    (store / "blob").unlink()
    with pytest.raises(CacheLayoutError, match="leads nowhere"):
        place(fetched, tmp_path / "other")


def test_unreadable_modes_are_named(bundle: Path) -> None:
    (snapshot_of(bundle) / "tokenizer.json").chmod(0o600)

    with pytest.raises(VerifyError, match=r"tokenizer.json is not readable by every user"):
        verify(bundle)


def test_the_handler_names_a_bundle_that_its_user_may_not_read(bundle: Path) -> None:
    (bundle / "models").chmod(0)
    # Nothing is unreadable to root, so the check runs as nobody; from inside, as pytest keeps what is above to itself.
    code = (
        "import os, sys; from pathlib import Path; from handler import manifest\n"
        "os.chdir(sys.argv[1]); os.getuid() or os.setuid(65534)\n"
        "manifest.load(Path('.'))"
    )

    run = subprocess.run(
        [sys.executable, "-c", code, str(bundle)], cwd=repositories.ROOT, capture_output=True, text=True, check=False
    )

    assert "may not be read by this user: make the bundle world-readable" in run.stderr, run.stderr


def test_a_file_changed_after_the_build_is_named_with_its_hash(bundle: Path) -> None:
    weights = snapshot_of(bundle) / "open_clip_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)

    with pytest.raises(VerifyError, match=r"open_clip_model.safetensors was changed: its sha256 is [0-9a-f]{64}"):
        verify(bundle)
    with pytest.raises(VerifyError, match=r"open_clip_model.safetensors has sha256 [0-9a-f]{64}"):
        run_handler(bundle)


def test_an_added_file_is_named(bundle: Path) -> None:
    (snapshot_of(bundle) / "surprise.py").write_text("")

    with pytest.raises(VerifyError, match=r"surprise.py is not in the manifest"):
        verify(bundle)


def test_missing_weights_never_become_a_random_model(bundle: Path) -> None:
    weights = snapshot_of(bundle) / "open_clip_model.safetensors"
    weights.unlink()
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"] = [file for file in manifest["files"] if not file["path"].endswith(weights.name)]
    (bundle / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(VerifyError, match=r"shapes-i18n: RuntimeError: Required pretrained weights"):
        run_handler(bundle)


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_the_handler_serves_from_a_read_only_bundle_without_home_and_shared_memory(
    demo_bundle: Path, mode: str
) -> None:
    assert sandbox.namespaces(), "this system lets nobody make namespaces: the bundle cannot be made read-only"

    run = sandbox.run(demo_bundle, ["-m", "handler.selfcheck"], {"OPENCLIP_CACHE_MODE": mode})

    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["ok"] is True
