"""Every form in which prepared models are brought: all that a build takes is found, checked, and left as it was."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from layer.bundle import sandbox
from layer.errors import SourceError
from layer.files.link import link_own, point_to
from layer.sources import resolve
from layer.sources.download import gather
from layer.sources.fetch import Fetched
from layer.sources.hf_cache import place
from layer.sources.lock import Lock
from layer.sources.prepared import places
from layer.sources.prepared.places import Place
from layer.sources.prepared.search import Prepared
from layer.spec import ModelSpec
from tests.hub import prepared, repositories
from tests.hub.server import Hub, serving

FORMS = (
    *("open_clip", "snapshot_download", "hf download", "real files", "shared blobs"),
    *("local-dir", "git", "modelscope", "several"),
)
TINY = ModelSpec("hf-hub:acme/tiny", engine="torch", precision="fp32")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same two repositories in every form; the hub is gone when this returns."""
    root = tmp_path_factory.mktemp("forms")
    with serving() as hub:
        add(hub, root / "hub")
        first = prepared.by_open_clip(hub, root / "model_cache", "hf-hub:acme/tiny")
        return prepared.every(hub, root, first)


def add(hub: Hub, folder: Path) -> None:
    """A model whose tokenizer has a repository of its own."""
    hub.add("acme/tiny", repositories.tiny_model(folder / "tiny", "acme/words.v1"))
    hub.add("acme/words.v1", repositories.tokenizer_without_config(folder / "words"))


@pytest.mark.parametrize("form", FORMS)
def test_a_model_is_found_whole_in_every_form_and_its_source_is_left_as_it_was(
    sources: dict[str, Path], tmp_path: Path, form: str
) -> None:
    before = state(sources[form])

    [[weights, tokenizer]] = gather([TINY], tmp_path, {}, Prepared([Place(sources[form])]))

    assert contents(weights) == digests(["open_clip_config.json", "open_clip_model.safetensors"], sources)
    assert contents(tokenizer) == digests(repositories.TOKENIZER_NAMES, sources)
    assert state(sources[form]) == before
    assert not list(tmp_path.rglob("*.safetensors")), "nothing is copied before the bundle"


@pytest.mark.parametrize("form", FORMS)
def test_what_vouches_for_a_file_is_used_and_where_nothing_does_that_is_noted(
    sources: dict[str, Path], tmp_path: Path, form: str
) -> None:
    [[weights, tokenizer]] = gather([TINY], tmp_path, {}, Prepared([Place(sources[form])]))

    unvouched = form in ("real files", "modelscope", "several")
    assert bool(weights.as_found) == bool(tokenizer.as_found) == unvouched
    pinned: Lock = {TINY.id: (weights.locked(), tokenizer.locked())}
    [again] = gather([TINY], tmp_path, pinned, Prepared([Place(sources[form])]))
    assert [source.as_found for source in again] == [weights.as_found, tokenizer.as_found], "the lock keeps the note"


def test_a_folder_whose_name_a_terminal_would_obey_is_printed_as_an_escape(
    sources: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names below a source are of whoever packed it."""
    odd = shutil.copytree(sources["real files"], tmp_path / "cache" / "\x1b]0;owned\x07\nfrom here: sound")

    gather([TINY], tmp_path / "build", {}, Prepared([Place(odd.parent)]))

    printed = capsys.readouterr().err
    assert [line.partition(":")[0] for line in printed.splitlines() if "acme/" in line] == [
        f"from {odd.parent}/\\x1b]0;owned\\x07\\nfrom here"
    ] * 2
    assert "\x1b" not in printed


def state(root: Path) -> dict[str, tuple[object, ...]]:
    """All that could be changed of a tree: names, modes, times of change, link targets and contents."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        stat = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        goal = str(path.readlink()) if path.is_symlink() else ""
        found[str(path)] = (stat.st_mode, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_nlink, goal, content)
    return found


def contents(source: Fetched) -> dict[str, str]:
    return {name: hashlib.sha256((source.folder / name).read_bytes()).hexdigest() for name in source.files}


def digests(names: "list[str] | tuple[str, ...]", sources: dict[str, Path]) -> dict[str, str]:
    """The hashes of the files as the hub had them, in ModelScope's copy."""
    folder: Callable[[str], Path] = lambda name: next(sources["modelscope"].rglob(name))  # noqa: E731
    return {name: hashlib.sha256(folder(name).read_bytes()).hexdigest() for name in names}


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("acme/tiny", True),
        ("models/acme/tiny", True),
        ("acme___tiny", True),
        ("acme--tiny", True),
        ("ACME/Tiny", True),
        ("tiny", True),
        ("acme--tiny/a/b/c/d/tiny", True),
        ("models--acme--tiny/snapshots/0123456789012345678901234567890123456789", True),
        ("hub/models/acme/tiny/snapshots/master", True),
        ("our-model", True),  # the one folder, named itself, of the one model
        ("two/our-model", False),
        (".hidden/acme/tiny", False),
        ("datasets--acme--tiny", False),
    ],
)
def test_a_folder_is_taken_for_a_repository_by_its_name(
    sources: dict[str, Path], tmp_path: Path, place: str, found: bool
) -> None:
    folder = tmp_path / "source" / place
    shutil.copytree(next(sources["modelscope"].rglob("open_clip_config.json")).parent, folder)
    given = folder if place == "our-model" else tmp_path / "source"
    need = resolve.Need("acme/tiny", ("weights", "config"), resolve.DEFAULT_WEIGHTS)

    located = Prepared([Place(given)], alone=True).find(need, None, None, TINY)

    assert (located is not None) == found


@pytest.mark.parametrize("name", ["acme/tiny", "zoo/acme--tiny", "models--acme--tiny", "a/b/tiny"])
@pytest.mark.parametrize("first", ["aaa", "zzz"])
def test_each_name_that_links_give_a_directory_is_looked_at(
    sources: dict[str, Path], tmp_path: Path, first: str, name: str
) -> None:
    source = tmp_path / "source"
    plain = next(sources["modelscope"].rglob("open_clip_config.json")).parent
    cache = next(sources["open_clip"].glob("models--acme--tiny"))
    shutil.copytree(cache if name.startswith("models--") else plain, source / first, symlinks=True)
    (source / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).symlink_to(source / first)
    (source / first / "itself").symlink_to(source)
    need = resolve.Need("acme/tiny", ("weights", "config"), resolve.DEFAULT_WEIGHTS)

    located = Prepared([Place(source)]).find(need, None, None, TINY)

    assert located is not None
    assert (located.folder / "open_clip_model.safetensors").is_file()


def test_a_repository_may_be_told_by_its_id_and_a_models_own_place_comes_first(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    folder = next(sources["modelscope"].rglob("open_clip_config.json")).parent
    shutil.copytree(folder, tmp_path / "x")
    need = resolve.Need("acme/tiny", ("config",))

    told = Prepared([places.given(f"acme/tiny={tmp_path / 'x'}", "--from")]).find(need, None, None, TINY)
    own = Prepared([Place(sources["open_clip"])], {TINY.id: Place(tmp_path / "x")}).find(need, None, None, TINY)

    assert told is not None
    assert own is not None
    assert told.folder == own.folder == tmp_path / "x"
    with pytest.raises(SourceError, match="no-such-place is not there: name the directory of a prepared cache"):
        places.given("no-such-place", "--from")
    with pytest.raises(SourceError, match="is not a directory"):
        places.given(str(folder / "open_clip_config.json"), "--from")


def test_the_caches_of_the_environment_are_looked_at_where_they_are(tmp_path: Path) -> None:
    for name in ("one", "home/hub", "user/.cache/huggingface/hub"):
        (tmp_path / name).mkdir(parents=True)
    named = {"HF_HUB_CACHE": str(tmp_path / "one"), "HF_HOME": str(tmp_path / "home")}
    users = {"XDG_CACHE_HOME": str(tmp_path / "user" / ".cache"), "HF_HOME": str(tmp_path / "not-there")}

    assert [place.path for place in places.of_environment(False, named)] == [tmp_path / "one", tmp_path / "home/hub"]
    assert places.of_environment(False, users) == []
    assert [place.path for place in places.of_environment(True, users)] == [tmp_path / "user/.cache/huggingface/hub"]


def test_a_repository_in_two_parts_of_one_commit_is_joined_by_links(tmp_path: Path) -> None:
    """The weights where `cache_dir` said, the tokenizer in the user's cache: the second call was made without it."""
    with serving() as hub:
        folder = repositories.tiny_model(tmp_path / "tiny", "acme/tiny")
        for path in repositories.tokenizer_without_config(tmp_path / "words").iterdir():
            shutil.copy(path, folder)
        hub.add("acme/tiny", folder)
        cache = prepared.by_open_clip(hub, tmp_path / "both", "hf-hub:acme/tiny")
    parts = [Path(shutil.copytree(cache, tmp_path / name, symlinks=True)) for name in ("weights", "tokenizer")]
    for number, part in enumerate(parts):
        for path in part.glob("models--*/snapshots/*/*"):
            if path.name.startswith("open_clip") == bool(number):
                path.unlink()
    before = [state(part) for part in parts]

    places_of_both = [Place(part) for part in parts]
    [[joined]] = gather([TINY], tmp_path / "build", {}, Prepared(places_of_both, scratch=tmp_path / "build" / "joined"))

    assert set(joined.files) == {"open_clip_config.json", "open_clip_model.safetensors", *repositories.TOKENIZER_NAMES}
    assert joined.as_found == ()
    place(joined, tmp_path / "hub", link_own(tmp_path / "build", point_to))  # as an export does
    assert {path.stat().st_nlink for path in (tmp_path / "hub").rglob("*") if path.is_file()} == {1}
    assert [state(part) for part in parts] == before

    joining = Prepared(places_of_both, scratch=tmp_path / "build" / "joined")
    needs = [
        resolve.Need("acme/tiny", ("weights", "config", "tokenizer"), resolve.DEFAULT_WEIGHTS),
        resolve.Need("acme/tiny", ("config", "tokenizer")),
    ]
    found = [joining.find(need, None, None, TINY) for need in needs]
    assert all(one and one.missing() == [] for one in found), "another model needs other parts: both stay"


GATHER = """
import sys
from pathlib import Path
from layer.sources.download import gather
from layer.sources.prepared.places import Place
from layer.sources.prepared.search import Prepared
from layer.spec import ModelSpec
model = ModelSpec("hf-hub:acme/tiny", engine="torch", precision="fp32")
[found] = gather([model], Path(sys.argv[2]), {}, Prepared([Place(Path(sys.argv[1]))]))
try:
    (Path(sys.argv[1]) / "written").touch()
except OSError as error:
    print(len(found), error.strerror)
"""


def test_a_source_on_a_read_only_file_system_will_do(sources: dict[str, Path], tmp_path: Path) -> None:
    assert sandbox.namespaces(), "this system lets nobody make namespaces: nothing can be made read-only to root"
    source = sources["open_clip"]

    run = sandbox.run(source, ["-c", GATHER, str(source), str(tmp_path)])

    assert (run.returncode, run.stdout) == (0, "2 Read-only file system\n"), run.stderr
