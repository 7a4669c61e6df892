"""Every form in which prepared models are brought: all that a build takes is found, checked, and left as it was."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from layer.sources.download import gather
from layer.sources.fetch import Fetched
from layer.sources.prepared.places import Place
from layer.sources.prepared.search import Prepared
from layer.spec import ModelSpec
from tests.hub import prepared, repositories
from tests.hub.server import Hub, serving

TINY = ModelSpec("hf-hub:acme/tiny", engine="torch", precision="fp32")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same two repositories in every form; the hub is gone when this returns."""
    root = tmp_path_factory.mktemp("forms")
    with serving() as hub:
        add(hub, root / "hub")
        made = {
            "open_clip": prepared.by_open_clip(hub, root / "model_cache", "hf-hub:acme/tiny"),
            "snapshot_download": prepared.by_snapshot_download(hub, root / "snapshots"),
            "hf download": prepared.by_hf_download(hub, root / "downloads"),
            "local-dir": prepared.by_hf_download(hub, root / "local", local=True),
            "modelscope": prepared.by_modelscope(hub, root / "modelscope"),
            "git": prepared.by_git(hub, root / "clones"),
            "several": prepared.several(hub, root / "several"),
        }
        made["real files"] = prepared.with_real_files(made["open_clip"], root / "real")
        made["shared blobs"] = prepared.with_shared_blobs(made["open_clip"], root / "shared")
    return made


def add(hub: Hub, folder: Path) -> None:
    """A model whose tokenizer has a repository of its own."""
    hub.add("acme/tiny", repositories.tiny_model(folder / "tiny", "acme/words.v1"))
    hub.add("acme/words.v1", repositories.tokenizer_without_config(folder / "words"))


FORMS = (
    *("open_clip", "snapshot_download", "hf download", "real files", "shared blobs"),
    *("local-dir", "git", "modelscope", "several"),
)


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
    assert weights.locked().as_found == weights.as_found


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
