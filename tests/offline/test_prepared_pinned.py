"""Which version of a repository a source has: the commit that models.toml asks for, the files that models.lock has."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from layer.errors import SourceError
from layer.progress import file_sha256
from layer.sources.download import gather
from layer.sources.lock import Lock, LockedFile, LockedSource
from layer.sources.prepared import check_copy, places
from layer.sources.prepared.places import Place
from layer.sources.prepared.search import Prepared
from layer.sources.prepared.survey import Copy
from layer.sources.resolve import DEFAULT_WEIGHTS, Need
from layer.spec import ModelSpec
from tests.hub import repositories

TINY = ModelSpec("hf-hub:acme/tiny", engine="torch", precision="fp32")
ASKED, OTHER = "a" * 40, "b" * 40
AT_TAG = ModelSpec("hf-hub:acme/tiny", revision="v1", engine="torch", precision="fp32")
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


@pytest.mark.parametrize("known", [True, False], ids=["a cache", "files of no known commit"])
@pytest.mark.parametrize("roles", [("weights", "config"), ("weights", "config", "tokenizer")])
def test_weights_of_another_commit_are_not_taken_where_the_lock_has_the_repositorys_tokenizer_alone(
    tmp_path: Path, roles: tuple[str, ...], known: bool
) -> None:
    """As of a model whose tokenizer another model of the lock uses: also where that is the same in both commits."""
    folder = tmp_path / "models--acme--tiny" if known else tmp_path / "tiny"
    snapshot = whole(folder / "snapshots" / OTHER if known else folder)
    if known:
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(OTHER)
    copy = Copy(folder, known, "acme/tiny", frozenset())
    files = {
        name: LockedFile((snapshot / name).stat().st_size, file_sha256(snapshot / name))
        for name in repositories.TOKENIZER_NAMES
    }
    pin = LockedSource("acme/tiny", None, ASKED, ("tokenizer",), None, files)
    need = Need("acme/tiny", roles, DEFAULT_WEIGHTS)

    assert (check_copy.located(copy, need, None, None).revision == OTHER) == known
    tokenizer = check_copy.located(copy, Need("acme/tiny", ("tokenizer",)), None, pin)
    assert tokenizer.revision == ASKED  # by its files
    with pytest.raises(check_copy.LackingError) as lacking:
        check_copy.located(copy, need, None, pin)
    [finding] = lacking.value.findings
    there = OTHER if known else "files of no known commit"
    assert (finding.code, finding.detail) == ("revision-missing", f"models.lock has {ASKED}, here is {there}")


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


def test_files_of_no_known_commit_are_not_taken_for_a_commit_that_is_asked_for(tmp_path: Path) -> None:
    """Whose bytes they are cannot be told: the lock would say that they are the ones that were asked for."""
    place = whole(tmp_path / "acme" / "tiny")

    with pytest.raises(SourceError, match=f"revision = {ASKED}, and nothing says which commit these files are"):
        gather([AT_ASKED], tmp_path / "build", {}, Prepared([Place(tmp_path)]))

    named = place.rename(tmp_path / "acme" / ASKED)  # whoever knows it can say it
    [[found]] = gather([AT_ASKED], tmp_path / "build", {}, Prepared([Place(named, "acme/tiny")]))
    assert found.revision == ASKED
    shutil.move(named, place)
    pins: Lock = {AT_ASKED.id: (found.locked(),)}
    [[again]] = gather([AT_ASKED], tmp_path / "build", pins, Prepared([Place(tmp_path)]))
    assert again.locked() == found.locked(), "the lock has the files' hashes"


def packed(git: Path, *lines: str) -> None:
    (git / "packed-refs").write_text("\n".join(["# pack-refs with: peeled fully-peeled sorted", *lines, ""]))


Change = Callable[[Path], object]
SHOWN: dict[str, Change] = {
    "branch": lambda git: (git / "refs" / "heads" / "v1").write_text(f"{OTHER}\n"),
    "tag": lambda git: (git / "refs" / "tags" / "v1").write_text(f"{OTHER}\n"),
    "packed tag": lambda git: packed(git, f"{OTHER} refs/tags/v1"),
    "packed tag with a message": lambda git: packed(
        git, f"{'d' * 40} refs/tags/v1", f"^{OTHER}", f"{ASKED} refs/tags/v2"
    ),
}
OTHERS: dict[str, Change] = {
    "branch": lambda git: (git / "refs" / "heads" / "v1").write_text(f"{ASKED}\n"),
    "packed tag": lambda git: packed(git, f"{ASKED} refs/tags/v1", f"{OTHER} refs/tags/v1.2"),
}
UNKNOWN: dict[str, Change] = {
    "nothing": lambda git: None,
    "tag that may have a message": lambda git: (git / "refs" / "tags" / "v1").write_text(f"{'d' * 40}\n"),
}
CASES = {"shown": SHOWN, "another": OTHERS, "unknown": UNKNOWN}


@pytest.mark.parametrize(("kind", "case"), [(kind, case) for kind, cases in CASES.items() for case in cases])
def test_a_clones_references_say_whether_it_is_the_branch_or_tag_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, case: str
) -> None:
    folder = cloned(tmp_path / "tiny", OTHER)
    for part in ("heads", "tags"):
        (folder / ".git" / "refs" / part).mkdir(parents=True)
    CASES[kind][case](folder / ".git")
    source = Prepared([Place(folder)])

    if kind == "another":
        with pytest.raises(SourceError, match=rf"revision-missing: .*\n.*revision = v1, here is {OTHER}\n"):
            gather([AT_TAG], tmp_path / "build", {}, source)
        return
    [[found]] = gather([AT_TAG], tmp_path / "build", {}, source)

    told = f"note: nothing in {folder} says that it is v1 of acme/tiny, and it is taken for it"
    assert (found.asked, found.revision) == ("v1", OTHER)
    assert (told in capsys.readouterr().err) == (kind == "unknown")


@pytest.mark.parametrize("make", [noted, lambda folder, _: whole(folder)])
def test_a_folder_that_cannot_say_which_branch_or_tag_it_is_is_told_until_it_is_pinned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path, str], Path]
) -> None:
    folder = make(tmp_path / "acme" / "tiny", OTHER)

    [[found]] = gather([AT_TAG], tmp_path / "build", {}, Prepared([Place(folder)]))
    assert f"note: nothing in {folder} says that it is v1 of acme/tiny" in capsys.readouterr().err
    gather([AT_TAG], tmp_path / "build", {AT_TAG.id: (found.locked(),)}, Prepared([Place(folder)]))
    assert "note:" not in capsys.readouterr().err


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
