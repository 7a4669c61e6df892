"""Bring the needed files of a repository into a cache, pinned to one commit, with their hashes checked."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import HfApi, constants, errors
from huggingface_hub.file_download import http_get

from layer.errors import FetchError
from layer.plan import Need
from layer.progress import file_sha256

EMBEDDED = Path(__file__).parent / "demo" / "hub"  # repositories that come with this project, in cache layout


@dataclass(frozen=True)
class Fetched:
    """A repository's needed files, all at `revision` (40 hex digits), in `folder`."""

    repo: str
    revision: str
    roles: tuple[str, ...]
    license: str | None
    files: tuple[str, ...]
    folder: Path


def fetch(need: Need, revision: str | None, cache: Path) -> Fetched:
    """Fetch what is needed of a repository into `cache`; what is there already is not fetched again.

    `revision` is a branch, a tag or a commit, None the default branch. Raises FetchError, PlanError.
    """
    embedded = EMBEDDED / repo_folder(need.repo)
    return _embedded(need, embedded) if embedded.is_dir() else _from_hub(need, revision, cache)


def repo_folder(repo: str) -> str:
    """Name a repository's folder in a cache, from its id exactly as open_clip asks for it."""
    return f"models--{repo.replace('/', '--')}"


def _embedded(need: Need, folder: Path) -> Fetched:
    revision = (folder / "refs" / "main").read_text()
    snapshot = folder / "snapshots" / revision
    files = need.choose([path.name for path in snapshot.iterdir()])
    return Fetched(need.repo, revision, need.roles, "apache-2.0", tuple(files), snapshot)


def _from_hub(need: Need, revision: str | None, cache: Path) -> Fetched:
    where = f"{need.repo} at {revision or 'its default branch'} from {constants.ENDPOINT}"
    with _explained(where):
        info = HfApi().model_info(need.repo, revision=revision, files_metadata=True)
    if info.sha is None:
        raise FetchError(f"{where}: the hub names no commit")
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or []}
    files = need.choose(list(siblings))
    folder = cache / repo_folder(need.repo) / info.sha
    for name in files:
        if not (folder / name).exists():
            with _explained(f"{name} of {where}"):
                _download(need.repo, info.sha, siblings[name], folder / name)
    license_name = info.card_data.get("license") if info.card_data else None
    return Fetched(need.repo, info.sha, need.roles, license_name, tuple(files), folder)


def _download(repo: str, revision: str, sibling: Any, target: Path) -> None:
    """Download one file, going on from where an earlier try stopped; it gets its name only once its hash is right.

    hf_hub_download begins each time anew (a partial file's name is its process's own), and a gigabyte is long.
    """
    partial = target.with_name(f"{target.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    url = huggingface_hub.hf_hub_url(repo, sibling.rfilename, revision=revision)
    with partial.open("ab") as stream:
        if stream.tell() < sibling.size:
            headers = huggingface_hub.utils.build_hf_headers()
            name = f"{repo}/{sibling.rfilename}"
            http_get(
                url,
                stream,
                resume_size=stream.tell(),
                headers=headers,
                expected_size=sibling.size,
                displayed_filename=name,
            )
    problem = _difference(partial, sibling)
    if problem:
        partial.unlink()
        raise FetchError(f"{sibling.rfilename} of {repo} {problem}: it was removed, run `python -m layer build` again")
    partial.rename(target)


def _difference(path: Path, sibling: Any) -> str | None:
    """Compare a file with what the hub says of it: its size, and its sha256 or, for what is in git itself, git's id."""
    size = path.stat().st_size
    if size != sibling.size:
        return f"has {size} bytes, the hub says {sibling.size}"
    if sibling.lfs:
        found, expected = file_sha256(path), sibling.lfs.sha256
    else:
        found = hashlib.sha1(b"blob %d\0" % size + path.read_bytes(), usedforsecurity=False).hexdigest()
        expected = sibling.blob_id
    return None if found == expected else f"has the hash {found}, the hub says {expected}"


# The first that fits: gated before missing, since huggingface_hub derives the one from the other.
_EXPLANATIONS: tuple[tuple[type[Exception], str], ...] = (
    (errors.GatedRepoError, "is gated: accept its terms on its page on the hub, then set HF_TOKEN"),
    (errors.RepositoryNotFoundError, "is not there, or is private: check the name, or set HF_TOKEN"),
    (errors.RevisionNotFoundError, "has no such revision: check `revision` in models.toml"),
    (errors.RemoteEntryNotFoundError, "is gone from the repository: run the build again"),
    (errors.OfflineModeIsEnabled, "cannot be fetched while HF_HUB_OFFLINE is set: unset it for the build"),
    (
        errors.LocalEntryNotFoundError,
        "cannot be reached: check the network (and HF_ENDPOINT), then run the build again",
    ),
    (errors.HfHubHTTPError, "was refused by the hub: try again later"),
    (errors.HTTPError, "cannot be reached, or the connection broke: run the build again, it goes on where it stopped"),
    (OSError, "cannot be written or read: look for space and rights on the disk, then run the build again"),
)


@contextmanager
def _explained(where: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        for kind, explanation in _EXPLANATIONS:
            if isinstance(error, kind):
                raise FetchError(f"{where} {explanation} ({_first_line(error)})") from error
        raise


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
