"""Which version of a repository a source has: the commit that models.toml asks for, the files that models.lock has."""

import shutil
from pathlib import Path

import pytest

from layer.errors import SourceError
from layer.sources.download import gather
from layer.sources.lock import Lock
from layer.sources.prepared import places
from layer.sources.prepared.places import Place
from layer.sources.prepared.search import Prepared
from layer.spec import ModelSpec
from tests.hub import repositories

TINY = ModelSpec("hf-hub:acme/tiny", engine="torch", precision="fp32")
ASKED, OTHER = "a" * 40, "b" * 40
AT_ASKED = ModelSpec("hf-hub:acme/tiny", revision=ASKED, engine="torch", precision="fp32")


def folders(root: Path) -> Path:
    """Files in a folder for each repository, of which nothing vouches for a hash, nor for the set of them."""
    repositories.tiny_model(root / "acme" / "tiny", "acme/words")
    repositories.tokenizer_without_config(root / "acme" / "words")
    return root


def as_cache(source: Path, root: Path) -> Path:
    for name in ("tiny", "words"):
        place = root / f"models--acme--{name}"
        shutil.copytree(source / "acme" / name, place / "snapshots" / OTHER)
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text(OTHER)
    return root


def locked(source: Path, cache: Path) -> Lock:
    [found] = gather([TINY], cache, {}, Prepared([Place(source)]))
    return {TINY.id: tuple(one.locked() for one in found)}


@pytest.mark.parametrize("form", ["folders", "cache"])
def test_a_part_of_a_tokenizer_that_the_lock_has_is_missed(tmp_path: Path, form: str) -> None:
    source = folders(tmp_path / "folders")
    source = as_cache(source, tmp_path / "cache") if form == "cache" else source
    pins = locked(source, tmp_path / "build")
    next(source.rglob("special_tokens_map.json")).unlink()

    with pytest.raises(
        SourceError, match=r"tokenizer-missing: .*\n.*no special_tokens_map.json, which models.lock has\n"
    ):
        gather([TINY], tmp_path / "again", pins, Prepared([Place(source)]))


def test_a_file_that_the_lock_has_not_is_left_out(tmp_path: Path) -> None:
    source = folders(tmp_path / "folders")
    pins = locked(source, tmp_path / "build")
    (source / "acme" / "words" / "added_tokens.json").write_text('{"<new>": 900}')
    shutil.copy(source / "acme/tiny/open_clip_model.safetensors", source / "acme/tiny/open_clip_pytorch_model.bin")

    [again] = gather([TINY], tmp_path / "again", pins, Prepared([Place(source)]))

    assert tuple(one.locked() for one in again) == pins[TINY.id]


def test_another_commit_that_lacks_a_file_of_the_locks_is_not_taken_for_it(tmp_path: Path) -> None:
    source = as_cache(folders(tmp_path / "folders"), tmp_path / "cache")
    pins = locked(source, tmp_path / "build")
    place = source / "models--acme--words"
    (place / "snapshots" / OTHER).rename(place / "snapshots" / ASKED)
    (place / "refs" / "main").write_text(ASKED)
    (place / "snapshots" / ASKED / "special_tokens_map.json").unlink()

    with pytest.raises(SourceError, match=rf"revision-missing: .*\n.*models.lock has {OTHER}, here is {ASKED}\n"):
        gather([TINY], tmp_path / "again", pins, Prepared([Place(source)]))


def whole(folder: Path) -> Path:
    repositories.tiny_model(folder, "acme/tiny")
    for name in repositories.TOKENIZER_NAMES:
        shutil.copy(repositories.demo_snapshot() / name, folder)
    return folder


def noted(folder: Path, commit: str) -> Path:
    """A folder with the notes of `hf download --local-dir`, of a file that is not needed."""
    notes = whole(folder) / ".cache" / "huggingface" / "download"
    notes.mkdir(parents=True)
    (notes / "README.md.metadata").write_text(f"{commit}\n{'c' * 40}\n1.0\n")
    return folder


def cloned(folder: Path, commit: str) -> Path:
    git = whole(folder) / ".git"
    git.mkdir()
    (git / "HEAD").write_text(f"{commit}\n")
    (git / "config").write_text('[remote "origin"]\n\turl = https://huggingface.co/acme/tiny\n')
    return folder


@pytest.mark.parametrize("make", [noted, cloned, lambda folder, commit: whole(folder / commit).parent])
def test_a_folder_of_another_commit_than_the_one_asked_for_is_not_taken(tmp_path: Path, make: object) -> None:
    folder = make(tmp_path / "other" / "tiny", OTHER)  # type: ignore[operator]
    right = make(tmp_path / "right" / "tiny", ASKED)  # type: ignore[operator]
    other, asked = (next(place.rglob("open_clip_config.json")).parent for place in (folder, right))

    with pytest.raises(SourceError, match=rf"revision-missing: .*\n.*revision = {ASKED}, here is {OTHER}\n"):
        gather([AT_ASKED], tmp_path / "build", {}, Prepared([Place(other)], alone=True))
    [[found]] = gather([AT_ASKED], tmp_path / "build", {}, Prepared([Place(other), Place(asked)], alone=True))

    assert (found.revision, found.folder) == (ASKED, asked)


@pytest.mark.parametrize("name", ["models--acme--tiny", "our-copy"])
def test_a_caches_folder_that_is_told_by_its_id_is_taken_at_its_commit(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    for commit in (ASKED, OTHER):
        whole(place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(OTHER)

    def taken(model: ModelSpec) -> str:
        told = Prepared([places.given(f"acme/tiny={place}", "--from")])
        [[found]] = gather([model], tmp_path / "build", {}, told)
        return found.revision

    assert (taken(TINY), taken(AT_ASKED)) == (OTHER, ASKED)
    shutil.rmtree(place / "snapshots" / ASKED)
    with pytest.raises(SourceError, match=f"revision-missing: .*\n.*revision = {ASKED}; snapshots/ has {OTHER}"):
        taken(AT_ASKED)
