"""Damage that no hash tells: of files that nothing vouches for, of what is not there, of rights."""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from layer.errors import SourceError
from layer.sources.download import gather
from layer.sources.portable import fetch
from layer.sources.prepared import places
from layer.sources.prepared.places import Place
from layer.sources.prepared.search import Prepared
from layer.spec import Spec, Target
from tests.hub import prepared, repositories
from tests.hub.odd import forget
from tests.hub.server import serving
from tests.offline.test_prepared_damage import TINY, WEIGHTS, blob, named, reference, replace
from tests.offline.test_prepared_damage import whole as whole

NOBODY = 65534


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


PLAIN: dict[str, tuple[str, Callable[[Path], object], tuple[str, str]]] = {
    "weights cut off": (WEIGHTS, cut_in_half, ("incomplete-download", WEIGHTS)),
    "a header of nothing": (
        WEIGHTS,
        lambda path: replace(path, bytes(path.stat().st_size)),
        ("incomplete-download", WEIGHTS),
    ),
    "a page to sign in at": (
        "tokenizer.json",
        lambda path: replace(path, b"<!doctype html><title>Sign in</title>"),
        ("incomplete-download", "tokenizer.json"),
    ),
    "a tokenizer cut off": ("tokenizer.json", cut_in_half, ("incomplete-download", "tokenizer.json")),
    "a config cut off": ("open_clip_config.json", cut_in_half, ("incomplete-download", "open_clip_config.json")),
    "a browser's part of a download": (
        WEIGHTS,
        lambda path: path.rename(f"{path}.crdownload"),
        ("incomplete-download", ".crdownload"),
    ),
    "a pipe": (
        WEIGHTS,
        lambda path: (path.unlink(), os.mkfifo(path)),  # type: ignore[func-returns-value]
        ("unreadable", WEIGHTS),
    ),
}


@pytest.mark.parametrize("damage", PLAIN)
def test_files_that_nothing_vouches_for_are_read_before_they_are_taken(
    whole: Path, tmp_path: Path, damage: str
) -> None:
    name, harm, expected = PLAIN[damage]
    plain = prepared.with_real_files(whole, tmp_path / "model_cache")
    [path] = plain.rglob(name)
    harm(path)

    with pytest.raises(SourceError) as caught:
        gather([TINY], tmp_path / "build", {}, Prepared([Place(plain)]))

    found = named(caught.value)
    assert any((code, expected[1] in where) == (expected[0], True) for code, where in found), found
    assert {code for code, _ in found} <= {expected[0], "weights-missing"}


@pytest.mark.parametrize("form", ["local-dir", "git", "fetch"])
def test_a_part_of_a_tokenizer_that_a_source_had_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Without its merges, or its special tokens, a tokenizer loads all the same, and gives other ids."""
    source = tmp_path / "source"
    with serving() as hub:
        hub.add("acme/tiny", repositories.tiny_model(tmp_path / "tiny", "acme/tokenizer"))
        hub.add("acme/tokenizer", repositories.tokenizer_without_config(tmp_path / "tokenizer"))
        if form == "git":
            prepared.by_git(hub, source)
        elif form == "local-dir":
            prepared.by_hf_download(hub, source, local=True)
        else:
            forget(monkeypatch)
            monkeypatch.setenv("HF_ENDPOINT", hub.url)
            fetch(Spec(Target(), (TINY,)), source, tmp_path / "cache")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    [part] = [path for path in source.rglob("special_tokens_map.json") if "okenizer" in str(path)]
    part.unlink()

    with pytest.raises(SourceError, match=r"tokenizer-missing: .*\n.*no special_tokens_map.json, which it had"):
        gather([TINY], tmp_path / "build", {}, Prepared([Place(source)]))


@contextmanager
def copied(whole: Path) -> Iterator[Path]:
    """A copy of the cache in a place that every user may enter."""
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name) / "model_cache"
        shutil.copytree(whole, cache, symlinks=True)
        for folder in (Path(name), cache, *(path for path in cache.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        yield cache


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root may read all: the modes of a copy made by root show where somebody else builds."""
    user = os.geteuid()
    os.seteuid(user or NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_file_that_this_user_may_not_read_is_named(whole: Path) -> None:
    with copied(whole) as cache:
        blob(cache).chmod(0)
        with somebody_else(), pytest.raises(SourceError) as caught:
            gather([TINY], cache.parent / "build", {}, Prepared([Place(cache)]))

    [(code, where)] = named(caught.value)
    assert (code, where.endswith(WEIGHTS)) == ("unreadable", True)
    assert "Permission denied" in str(caught.value)


@pytest.mark.parametrize("place", [".", "models--acme--tiny", "models--acme--tiny/snapshots", "a snapshot"])
def test_a_directory_that_this_user_may_not_enter_is_named(whole: Path, place: str) -> None:
    with copied(whole) as cache:
        [snapshot] = cache.glob("models--acme--tiny/snapshots/*")
        closed = snapshot if place == "a snapshot" else cache / place
        closed.chmod(0)
        try:
            with somebody_else(), pytest.raises(SourceError) as caught:
                gather([TINY], cache.parent / "build", {}, Prepared([Place(cache)]))
        finally:
            closed.chmod(0o755)

    found = dict(named(caught.value))
    assert Path(found["unreadable"]) == closed
    assert found.keys() <= {"unreadable", "weights-missing"}  # of a closed cache nobody knows what it holds
    assert "Permission denied" in str(caught.value)


def test_a_folder_that_can_be_listed_and_not_entered_is_not_offered(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with copied(whole) as cache:
        closed = repositories.tiny_model(cache.parent / "downloads" / "of-monday", "acme/words.v1")
        closed.parent.chmod(0o755)
        closed.chmod(0o444)
        try:
            with somebody_else(), pytest.raises(SourceError) as caught:
                gather([TINY], cache.parent / "build", {}, Prepared([Place(closed.parent)]))
        finally:
            closed.chmod(0o755)

    assert named(caught.value) == {("weights-missing", "acme/tiny")}
    assert "--from acme/tiny=" not in str(caught.value)


def test_a_link_that_leads_to_itself_hides_nothing_beside_it(whole: Path, tmp_path: Path) -> None:
    """`ln -s model_cache model_cache`, given a second time, makes such a link inside of the directory."""
    cache = tmp_path / "model_cache"
    shutil.copytree(whole, cache, symlinks=True)
    (cache / cache.name).symlink_to(cache.name)
    for folder in list(cache.glob("models--*")):
        (folder / "loop").symlink_to("loop")

    [sources] = gather([TINY], tmp_path / "build", {}, Prepared([Place(cache)]))

    assert {source.repo for source in sources} == {"acme/tiny", "acme/tokenizer"}


def test_a_clone_without_its_large_files_is_named(tmp_path: Path) -> None:
    with serving() as hub:
        hub.add("acme/tiny", repositories.tiny_model(tmp_path / "tiny", "acme/tokenizer"))
        clones = prepared.by_git(hub, tmp_path / "clones", pulled=False)

    with pytest.raises(SourceError) as caught:
        gather([TINY], tmp_path / "build", {}, Prepared([Place(clones)]))

    assert {code for code, _ in named(caught.value)} == {"lfs-pointer", "second-repository-missing"}


@pytest.mark.parametrize("folder", ["downloads", f"{'d' * 200}/{'e' * 200}"], ids=["short", "long"])
def test_a_folder_whose_name_says_nothing_is_offered_with_the_option_that_says_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    downloads = tmp_path / folder
    model = repositories.tiny_model(downloads / "of-monday", "acme/words.v1")
    words = repositories.tokenizer_without_config(downloads / "of-tuesday")
    told: list[str] = []

    for _ in range(2):
        with pytest.raises(SourceError) as lacking:
            gather(
                [TINY],
                tmp_path / "cache",
                {},
                Prepared([places.given(one, "--from") for one in (*told, str(downloads))]),
            )
        told += re.findall(r"--from (\S+=\S+)", str(lacking.value))
    found = gather([TINY], tmp_path / "cache", {}, Prepared([places.given(one, "--from") for one in told]))

    assert told == [f"acme/tiny={model}", f"acme/words.v1={words}"]
    assert [one.folder for one in found[0]] == [model, words]


def test_blobs_that_a_proxy_named_by_sha1_of_their_content_are_taken_and_held_to_it(
    whole: Path, tmp_path: Path
) -> None:
    """huggingface_hub names a blob by the ETag, and a repository manager may make ETags of its own."""
    cache = Path(shutil.copytree(whole, tmp_path / "cache", symlinks=True))
    for link in [path for path in cache.glob("*/snapshots/*/*") if path.is_symlink()]:
        content = link.resolve().read_bytes()
        target = link.resolve().with_name(hashlib.sha1(content, usedforsecurity=False).hexdigest())
        target.write_bytes(content)
        link.unlink()
        link.symlink_to(Path("../../blobs") / target.name)

    taken = gather([TINY], tmp_path / "work", {}, Prepared([Place(cache)]))

    assert [one.as_found for one in taken[0]] == [(), ()]
    replace(blob(cache), blob(cache).read_bytes()[:-1] + b"x")
    with pytest.raises(SourceError, match="hash-mismatch"):
        gather([TINY], tmp_path / "work", {}, Prepared([Place(cache)]))


def test_a_reference_that_names_nothing_is_to_be_written(whole: Path) -> None:
    """The snapshot is there: an editor or a copy left refs/main empty, in capitals, or with a byte order mark."""
    with copied(whole) as cache:
        commit = reference(cache).read_text()
        reference(cache).write_text(f"\ufeff{commit}", encoding="utf-8")

        with pytest.raises(SourceError, match=f"snapshots/ has {commit}\n  fix: write the name of the directory in"):
            gather([TINY], cache.parent / "build", {}, Prepared([Place(cache)]))
