"""Bring the needed files of a repository into a cache, pinned to one commit, with their hashes checked."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import huggingface_hub
from huggingface_hub import HfApi, constants, errors
from huggingface_hub.file_download import http_get

from layer.errors import FetchError
from layer.lock import LockedFile, LockedSource
from layer.progress import file_sha256

if TYPE_CHECKING:
    from layer.plan import Need

WORKERS = 4  # questions or files at a time: enough to fill a line, few enough for a hub that counts connections
EMBEDDED = Path(__file__).parent / "demo" / "hub"  # repositories that come with this project, in cache layout


@dataclass(frozen=True)
class Fetched:
    """A repository's needed files, all at `revision` (40 hex digits), in `folder`; `facts` are the files' own."""

    repo: str
    revision: str
    roles: tuple[str, ...]
    license: str | None
    files: tuple[str, ...]
    folder: Path
    asked: str | None = None
    facts: Mapping[str, LockedFile] = field(default_factory=dict)

    def locked(self) -> LockedSource:
        """Return what models.lock keeps of it."""
        return LockedSource(self.repo, self.asked, self.revision, self.roles, self.license, self.facts)


@dataclass(frozen=True)
class Located:
    """A repository found, at one commit: the files to bring, each with its size and what its hash has to be."""

    need: "Need"
    asked: str | None
    revision: str
    license: str | None
    folder: Path
    expected: Mapping[str, "Expected"]

    def missing(self) -> list[str]:
        """Name the files that are still to be downloaded."""
        return [name for name in self.expected if not (self.folder / name).exists()]

    def take_over(self) -> None:
        """Bring the files that an older commit in the cache has already: most commits leave the weights as they are."""
        for name in self.missing():
            for older in sorted(self.folder.parent.glob(f"*/{name}")):
                if self.expected[name].difference(older) is None:
                    self.folder.mkdir(parents=True, exist_ok=True)
                    os.link(older, self.folder / name)
                    break

    def fetched(self) -> Fetched:
        """Return the repository with its files' facts, all of them being there by now."""
        facts = {name: LockedFile(want.size, want.digest(self.folder / name)) for name, want in self.expected.items()}
        need, files = self.need, tuple(self.expected)
        return Fetched(need.repo, self.revision, need.roles, self.license, files, self.folder, self.asked, facts)


@dataclass(frozen=True)
class Expected:
    """What the hub, or models.lock, says of a file: `sha256`, or git's own `blob_id` of a small file."""

    size: int
    sha256: str | None
    blob_id: str | None = None

    def difference(self, path: Path) -> str | None:
        """Tell how a file is another one, None where it is the one that was meant."""
        size = path.stat().st_size
        if size != self.size:
            return f"has {size} bytes, the hub says {self.size}"
        if self.sha256:
            found, wanted = file_sha256(path), self.sha256
        else:
            found = hashlib.sha1(b"blob %d\0" % size + path.read_bytes(), usedforsecurity=False).hexdigest()
            wanted = self.blob_id or ""
        return None if found == wanted else f"has the hash {found}, the hub says {wanted}"

    def digest(self, path: Path) -> str:
        """Return the file's sha256: the one that it was checked against, or of a small file its own."""
        return self.sha256 or file_sha256(path)


def locate(need: "Need", asked: str | None, cache: Path, pin: LockedSource | None = None) -> Located:
    """Find a repository at its pin, or at the commit that `asked` (a branch, a tag, None the default) names now.

    With a pin and every file in the cache the hub is not asked. Raises FetchError, PlanError.
    """
    embedded = EMBEDDED / repo_folder(need.repo)
    if embedded.is_dir():
        return _embedded(need, asked, embedded)
    if pin and set(need.roles) <= set(pin.roles):
        chosen = {name: pin.files[name] for name in need.choose(list(pin.files))}
        expected = {name: Expected(file.size, file.sha256) for name, file in chosen.items()}
        folder = cache / repo_folder(need.repo) / pin.revision
        located = Located(need, asked, pin.revision, pin.license, folder, expected)
        if not located.missing():
            return located
    return _on_hub(need, asked, cache, pin.revision if pin else asked)


def current_commit(repo: str, asked: str | None) -> str:
    """Return the commit that a branch, a tag or the default branch stands at now, 40 hex digits. Raises FetchError."""
    embedded = EMBEDDED / repo_folder(repo)
    if embedded.is_dir():
        return (embedded / "refs" / "main").read_text()
    return str(repository_info(repo, asked).sha)


def repo_folder(repo: str) -> str:
    """Name a repository's folder in a cache, from its id exactly as open_clip asks for it."""
    return f"models--{repo.replace('/', '--')}"


def _embedded(need: "Need", asked: str | None, folder: Path) -> Located:
    revision = (folder / "refs" / "main").read_text()
    snapshot = folder / "snapshots" / revision
    files = need.choose([path.name for path in snapshot.iterdir()])
    expected = {name: Expected((snapshot / name).stat().st_size, file_sha256(snapshot / name)) for name in files}
    return Located(need, asked, revision, "apache-2.0", snapshot, expected)


def _on_hub(need: "Need", asked: str | None, cache: Path, revision: str | None) -> Located:
    info = repository_info(need.repo, revision)
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or []}
    expected = {
        name: Expected(file.size, file.lfs.sha256 if file.lfs else None, file.blob_id)
        for name in need.choose(list(siblings))
        for file in [siblings[name]]
    }
    license_name = info.card_data.get("license") if info.card_data else None
    return Located(need, asked, info.sha, license_name, cache / repo_folder(need.repo) / info.sha, expected)


def repository_info(repo: str, revision: str | None) -> Any:
    """Ask the hub about a repository; None is its default branch. Raises FetchError."""
    where = f"{repo} at {revision or 'its default branch'} from {constants.ENDPOINT}"
    with _explained(where):
        info = HfApi().model_info(repo, revision=revision, files_metadata=True)
    if info.sha is None:
        raise FetchError(f"{where}: the hub names no commit")
    return info


def download(located: Located, name: str, advance: Callable[[int], object]) -> None:
    """Download one file, going on from where an earlier try stopped; it gets its name only once its hash is right.

    hf_hub_download begins each time anew (a partial file's name is its process's own), and a gigabyte is long.
    `advance` is told how many bytes came. Raises FetchError.
    """
    repo, want, target = located.need.repo, located.expected[name], located.folder / name
    partial = partial_of(target)
    partial.parent.mkdir(parents=True, exist_ok=True)
    url = huggingface_hub.hf_hub_url(repo, name, revision=located.revision)
    with (
        _explained(f"{name} of {repo} at {located.revision} from {constants.ENDPOINT}"),
        partial.open("ab") as stream,
    ):
        if stream.tell() < want.size:
            headers = huggingface_hub.utils.build_hf_headers()
            http_get(
                url,
                stream,
                resume_size=stream.tell(),
                headers=headers,
                expected_size=want.size,
                displayed_filename=f"{repo}/{name}",
                _tqdm_bar=_Share(advance),
            )
    if problem := want.difference(partial):
        partial.unlink()
        raise FetchError(f"{name} of {repo} {problem}: it was removed, run `python -m layer build` again")
    partial.rename(target)


def download_url(url: str, target: Path, sha256: str) -> None:
    """Download a file from outside the hub; `sha256` is what is known of its hash, from the beginning, "" nothing.

    Raises FetchError.
    """
    partial = partial_of(target)
    partial.parent.mkdir(parents=True, exist_ok=True)
    with _explained(url), partial.open("ab") as stream:
        http_get(url, stream, resume_size=stream.tell(), headers={})
    found = file_sha256(partial)
    if not found.startswith(sha256):
        partial.unlink()
        raise FetchError(f"{url} has sha256 {found}, expected was {sha256}...: it was removed, run the build again")
    partial.rename(target)


def partial_of(target: Path) -> Path:
    """Name the file in which a download grows."""
    return target.with_name(f"{target.name}.partial")


class _Share:
    """What huggingface_hub takes for a progress bar of its own: a file's share of the one bar that is shown."""

    def __init__(self, advance: Callable[[int], object]) -> None:
        self.update = advance


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
