"""Damaged caches: all that is missing is named at once, in the doctor's codes, with the commands that bring it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from layer.errors import SourceError
from layer.sources.download import gather
from layer.sources.lock import LockedFile, LockedSource
from layer.sources.prepared.places import Place
from layer.sources.prepared.search import Prepared
from layer.spec import ModelSpec
from tests.hub import prepared, repositories
from tests.hub.server import serving

TINY = ModelSpec("hf-hub:acme/tiny", engine="torch", precision="fp32")
WEIGHTS = "open_clip_model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache as open_clip's own calls left it, of a model and its tokenizer's repository."""
    root = tmp_path_factory.mktemp("whole")
    with serving() as hub:
        hub.add("acme/tiny", repositories.tiny_model(root / "tiny", "acme/tokenizer"))
        hub.add("acme/tokenizer", repositories.tokenizer_without_config(root / "tokenizer"))
        return prepared.by_open_clip(hub, root / "model_cache", "hf-hub:acme/tiny")


def snapshot(cache: Path, repo: str = "tiny") -> Path:
    return next((cache / f"models--acme--{repo}" / "snapshots").iterdir())


def reference(cache: Path, repo: str = "tiny") -> Path:
    return cache / f"models--acme--{repo}" / "refs" / "main"


def blob(cache: Path, name: str = WEIGHTS, repo: str = "tiny") -> Path:
    return (snapshot(cache, repo) / name).resolve()


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def second_snapshot(cache: Path) -> None:
    shutil.rmtree(reference(cache).parent)
    shutil.copytree(snapshot(cache), snapshot(cache).with_name("0" * 40), symlinks=True)


def cut_off(cache: Path) -> None:
    part = blob(cache).with_name("f4bd.incomplete")
    blob(cache).rename(part)
    (snapshot(cache) / WEIGHTS).unlink()


def other_id(cache: Path) -> None:
    (cache / "models--acme--tokenizer").rename(cache / "models--other--tokenizer")


def links_as_texts(cache: Path) -> None:
    """What git, or an archive's program, makes of links where the system has none."""
    for path in [path for path in (cache / "models--acme--tiny").glob("snapshots/*/*") if path.is_symlink()]:
        goal = str(path.readlink())
        replace(path, goal.encode())


def blobs_cut_off(cache: Path) -> None:
    shutil.rmtree(snapshot(cache).parent)
    for path in (cache / "models--acme--tiny" / "blobs").iterdir():
        path.rename(path.with_name(f"{path.name}.incomplete"))


def in_shards(cache: Path) -> None:
    place = snapshot(cache) / WEIGHTS
    place.rename(place.with_name("open_clip_model-00001-of-00002.safetensors"))
    place.with_name(f"{WEIGHTS}.index.json").write_text("{}")


def a_directory(cache: Path) -> None:
    (snapshot(cache) / WEIGHTS).unlink()
    (snapshot(cache) / WEIGHTS).mkdir()


def a_loop(cache: Path) -> None:
    (snapshot(cache) / WEIGHTS).unlink()
    (snapshot(cache) / WEIGHTS).symlink_to(WEIGHTS)


def everything(cache: Path) -> None:
    blob(cache).unlink()
    config = blob(cache, "open_clip_config.json")
    replace(config, config.read_bytes() + b" ")
    shutil.rmtree(cache / "models--acme--tokenizer")


# What is done to the cache, and all that is to be named of it: code and place.
DAMAGES: dict[str, tuple[Callable[[Path], object], set[tuple[str, str]]]] = {
    "the tokenizer's repository was not copied": (
        lambda cache: shutil.rmtree(cache / "models--acme--tokenizer"),
        {("second-repository-missing", "acme/tokenizer")},
    ),
    "the blobs were not copied": (
        lambda cache: shutil.rmtree(cache / "models--acme--tiny" / "blobs"),
        {("dangling-link", WEIGHTS), ("dangling-link", "open_clip_config.json")},
    ),
    "a newline in refs/main": (
        lambda cache: reference(cache).write_text(reference(cache).read_text() + "\n"),
        {("refs-newline", "refs/main")},
    ),
    "refs/main names another commit": (
        lambda cache: reference(cache).write_text("1" * 40),
        {("refs-unknown", "refs/main")},
    ),
    "an empty refs/main": (lambda cache: reference(cache).write_text(""), {("refs-unknown", "refs/main")}),
    "two snapshots and no reference": (second_snapshot, {("refs-missing", "refs/main")}),
    "no snapshots": (
        lambda cache: shutil.rmtree(snapshot(cache, "tokenizer").parent),
        {("no-snapshot", "models--acme--tokenizer")},
    ),
    "a download that was cut off": (
        cut_off,
        {("weights-missing", "snapshots/"), ("incomplete-download", "f4bd.incomplete")},
    ),
    "no config, so that the rest is not known": (
        lambda cache: (snapshot(cache) / "open_clip_config.json").unlink(),
        {("config-missing", "snapshots/")},
    ),
    "no vocabulary": (
        lambda cache: (snapshot(cache, "tokenizer") / "tokenizer.json").unlink(),
        {("tokenizer-missing", "snapshots/")},
    ),
    "a part of the tokenizer leads nowhere": (
        lambda cache: blob(cache, "special_tokens_map.json", "tokenizer").unlink(),
        {("dangling-link", "special_tokens_map.json")},
    ),
    "weights of which the end is missing": (
        lambda cache: replace(blob(cache), blob(cache).read_bytes()[:-9]),
        {("hash-mismatch", WEIGHTS)},
    ),
    "a tokenizer that somebody edited": (
        lambda cache: replace(blob(cache, "tokenizer.json", "tokenizer"), b"{}"),
        {("hash-mismatch", "tokenizer.json")},
    ),
    "pointers in the place of weights": (
        lambda cache: replace(blob(cache), prepared.pointer_to(blob(cache))),
        {("lfs-pointer", WEIGHTS)},
    ),
    "links that became texts": (
        links_as_texts,
        {("dangling-link", WEIGHTS), ("dangling-link", "open_clip_config.json")},
    ),
    "blobs that were cut off, and no snapshot": (
        blobs_cut_off,
        {("no-snapshot", "models--acme--tiny"), ("incomplete-download", ".incomplete")},
    ),
    "weights in shards, which open_clip does not take": (in_shards, {("weights-missing", "snapshots/")}),
    "a directory in the place of weights": (a_directory, {("unreadable", WEIGHTS)}),
    "a link to itself": (a_loop, {("dangling-link", WEIGHTS)}),
    "a config of which half is there": (
        lambda cache: replace(blob(cache, "open_clip_config.json"), b'{"model_cfg": {'),
        {("hash-mismatch", "open_clip_config.json")},
    ),
    "an empty file": (lambda cache: replace(blob(cache), b""), {("incomplete-download", WEIGHTS)}),
    "the repository under another id": (other_id, {("other-repository-id", "models--other--tokenizer")}),
    "three things at once": (
        everything,
        {
            ("dangling-link", WEIGHTS),
            ("hash-mismatch", "open_clip_config.json"),
            ("second-repository-missing", "acme/tokenizer"),
        },
    ),
}


def named(error: SourceError) -> set[tuple[str, str]]:
    """The findings of a message: each a line `<code>: <place>`, then what it means and the fix."""
    return set(re.findall(r"(?m)^([a-z0-9-]+): (.*)\n  .*\n  fix: .+$", str(error)))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_named_with_all_that_it_lacks(whole: Path, tmp_path: Path, damage: str) -> None:
    harm, expected = DAMAGES[damage]
    cache = tmp_path / "model_cache"
    shutil.copytree(whole, cache, symlinks=True)
    harm(cache)

    with pytest.raises(SourceError) as caught:
        gather([TINY], tmp_path / "build", {}, Prepared([Place(cache)], spec=Path("my models.toml")))

    found = named(caught.value)
    assert {code for code, _ in found} == {code for code, _ in expected}, caught.value
    for code, place in expected:
        assert any(code == one and place in where for one, where in found), (code, place, found)
    assert "python -m layer fetch --output model_cache --models 'my models.toml'" in str(caught.value)
    assert "python -m layer build --from model_cache --models 'my models.toml'" in str(caught.value)


def test_what_several_models_lack_is_told_in_one_message(whole: Path, tmp_path: Path) -> None:
    cache = tmp_path / "model_cache"
    shutil.copytree(whole, cache, symlinks=True)
    blob(cache).unlink()
    models = [
        TINY,
        ModelSpec("ViT-B-32", "laion2b_s34b_b79k", engine="torch", precision="fp32"),
        ModelSpec("ViT-B-16-SigLIP", "webli", engine="torch", precision="fp32"),
        ModelSpec("hf-hub:timm/ViT-B-16-SigLIP-512", engine="torch", precision="fp32"),
        ModelSpec("roberta-ViT-B-32", "laion2b_s12b_b32k", engine="torch", precision="fp32"),
    ]

    with pytest.raises(SourceError) as caught:
        gather(models, tmp_path / "build", {}, Prepared([Place(cache)], texts_of=lambda _: ("timm/ViT-B-16-SigLIP",)))

    assert {(code, where.rpartition("/")[2]) for code, where in named(caught.value)} == {
        ("dangling-link", WEIGHTS),
        ("weights-missing", "CLIP-ViT-B-32-laion2B-s34B-b79K"),
        ("weights-missing", "ViT-B-16-SigLIP"),
        ("weights-missing", "ViT-B-16-SigLIP-512"),
        ("second-repository-missing", "ViT-B-16-SigLIP"),
        ("weights-missing", "CLIP-ViT-B-32-roberta-base-laion2B-s12B-b32k"),
        ("second-repository-missing", "roberta-base"),
    }


def test_the_commit_of_the_lock_comes_first_and_another_is_refused(whole: Path, tmp_path: Path) -> None:
    [[weights, _]] = gather([TINY], tmp_path, {}, Prepared([Place(whole)]))
    pin = weights.locked()
    moved = LockedSource(pin.repo, None, "2" * 40, pin.roles, "mit", pin.files)
    [[same, _]] = gather([TINY], tmp_path, {TINY.id: (moved,)}, Prepared([Place(whole)]))
    assert (same.revision, same.license) == ("2" * 40, "mit"), (
        "the files are those of the lock, whatever commit is here"
    )

    other = LockedSource(pin.repo, None, "2" * 40, pin.roles, "mit", {**pin.files, WEIGHTS: LockedFile(1, "3" * 64)})
    with pytest.raises(SourceError, match=r"revision-missing: .*\n.*models.lock has 2222"):
        gather([TINY], tmp_path, {TINY.id: (other,)}, Prepared([Place(whole)]))
