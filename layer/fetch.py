"""Bring the needed files of a repository into a cache, pinned to one commit, with their hashes checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub import HfApi, constants, errors

from layer.errors import FetchError
from layer.plan import Need
from layer.progress import file_sha256

EMBEDDED = Path(__file__).parent / "demo" / "hub"  # repositories that come with this project, in cache layout


@dataclass(frozen=True)
class Fetched:
    """A repository's needed files, all at `revision` (40 hex digits), in `folder`, a snapshot of some cache."""

    repo: str
    revision: str
    roles: tuple[str, ...]
    license: str | None
    files: tuple[str, ...]
    folder: Path


def fetch(need: Need, revision: str | None, cache: Path) -> Fetched:
    """Fetch what is needed of a repository into a Hugging Face cache; what is there already is not fetched again.

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
    for name in files:
        with _explained(f"{name} of {where}"):
            path = Path(huggingface_hub.hf_hub_download(need.repo, name, revision=info.sha, cache_dir=cache))
        lfs = siblings[name].lfs
        _check(path, f"{name} of {where}", siblings[name].size, lfs.sha256 if lfs else None)
    license_name = info.card_data.get("license") if info.card_data else None
    folder = cache / repo_folder(need.repo) / "snapshots" / info.sha
    return Fetched(need.repo, info.sha, need.roles, license_name, tuple(files), folder)


def _check(path: Path, where: str, size: int | None, sha256: str | None) -> None:
    """Compare a file with what the hub says of it; a wrong one is removed, so that the next build fetches it anew."""
    found = path.stat().st_size
    problem = None
    if size is not None and found != size:
        problem = f"has {found} bytes, the hub says {size}"
    elif sha256 and file_sha256(path) != sha256:
        problem = f"does not have the sha256 that the hub says, {sha256}"
    if problem:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise FetchError(f"{where} {problem}: it was removed, run `python -m layer build` again")


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
