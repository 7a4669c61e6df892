"""Download the needed files of a repository into a cache, pinned to one commit, and check their hashes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from layer.errors import FetchError, UnauthorizedError
from layer.files.link import link
from layer.naming import validate
from layer.network import environment, transfer, xet
from layer.progress import file_sha256
from layer.sources import hub
from layer.sources.expected import Expected
from layer.sources.lock import LockedFile, LockedSource
from layer.sources.resolve import Need

WORKERS = 4  # requests or files at a time: enough to use the bandwidth, few enough for a hub that limits connections
EMBEDDED = Path(__file__).parents[1] / "demo" / "hub"  # repositories that come with this project, in cache layout


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
    as_found: tuple[str, ...] = ()

    def refuse_changed(self, found: Mapping[str, str] | None = None) -> None:
        """Raise FetchError if a file has changed since its hash was checked.

        A power failure can lose data that was not on the disk yet, and somebody may write into a cache. `found` are the
        files' hashes, if they are known; otherwise each file is hashed.
        """
        for name, fact in self.facts.items():
            path = self.folder / name
            digest = found[name] if found else file_sha256(path)
            if digest != fact.sha256:
                raise FetchError(
                    f"{path} has sha256 {digest}, and it had {fact.sha256} when it was fetched: it was changed, or the "
                    "disk lost a part; remove it, and run the build again"
                )

    def locked(self) -> LockedSource:
        """Return what models.lock keeps of it."""
        return LockedSource(self.repo, self.asked, self.revision, self.roles, self.license, self.facts, self.as_found)


@dataclass(frozen=True)
class Located:
    """A repository at one commit: the files to get, each with its expected size and hash.

    `as_found` names the files of a prepared source that have no hash to compare: they are taken as they are. `unshown`
    is a folder of files that is taken for the requested branch or tag, though nothing in it shows that it is.
    """

    need: Need
    asked: str | None
    revision: str
    license: str | None
    folder: Path
    expected: Mapping[str, Expected]
    as_found: tuple[str, ...] = ()
    unshown: bool = False

    def missing(self) -> list[str]:
        """Name the files that are still to be downloaded."""
        return [name for name, want in self.expected.items() if not want.is_at(self.folder / name)]

    def take_over(self) -> None:
        """Link missing files from other commits in the cache that have the same ones: weights seldom change.

        Hold the cache's lock: where links are not possible, a copy has one name until it is complete.
        """
        for name in self.missing():
            if older := self.elsewhere(name):
                self.folder.mkdir(parents=True, exist_ok=True)
                link(older, self.folder / name)

    def elsewhere(self, name: str) -> Path | None:
        """Return the same file of another commit in the cache; None if there is none."""
        want = self.expected[name]
        if not want.sha256 and not want.blob_id:
            return None  # a mirror that gives no hashes: no file is known to be the same
        return next((one for one in sorted(self.folder.parent.glob(f"*/{name}")) if not want.difference(one)), None)

    def fetched(self) -> Fetched:
        """Return the repository with the facts of its files, which must all be there."""
        facts = {
            name: LockedFile((self.folder / name).stat().st_size, want.digest(self.folder / name))
            for name, want in self.expected.items()
        }
        need, files = self.need, tuple(self.expected)
        return Fetched(
            need.repo, self.revision, need.roles, self.license, files, self.folder, self.asked, facts, self.as_found
        )


def locate(need: Need, asked: str | None, cache: Path, pin: LockedSource | None = None) -> Located:
    """Find a repository at its pin, or at the current commit of `asked`: a branch or tag, None for the default branch.

    If the cache has every file of the pin, the hub is not asked. Raises FetchError, PlanError.
    """
    return in_cache(need, asked, cache, pin) or _on_hub(need, asked, cache, pin.revision if pin else asked)


def in_cache(need: Need, asked: str | None, cache: Path, pin: LockedSource | None) -> Located | None:
    """Find a repository that comes with this project, or whose pinned files are all in the cache; else None."""
    embedded = EMBEDDED / repo_folder(need.repo)
    if embedded.is_dir():
        return _embedded(need, asked, embedded)
    if not pin or not set(need.roles) <= set(pin.roles):
        return None
    chosen = {name: pin.files[name] for name in need.choose(list(pin.files))}
    expected = {name: Expected(file.size, file.sha256) for name, file in chosen.items()}
    folder = cache / repo_folder(need.repo) / pin.revision
    located = Located(need, asked, pin.revision, pin.license, folder, expected, pin.as_found)
    return None if located.missing() else located


def current_commit(repo: str, asked: str | None) -> str:
    """Return the current commit of a branch, a tag or the default branch, 40 hex digits. Raises FetchError."""
    embedded = EMBEDDED / repo_folder(repo)
    if embedded.is_dir():
        return (embedded / "refs" / "main").read_text()
    return hub.repository(repo, asked).commit


def repo_folder(repo: str) -> str:
    """Name a repository's folder in a cache, from its id exactly as open_clip asks for it. Raises FetchError."""
    try:
        return f"models--{validate.repository(repo).replace('/', '--')}"
    except ValueError as error:
        raise FetchError(f"{error}: check the model's name, or what its config names") from error


def _embedded(need: Need, asked: str | None, folder: Path) -> Located:
    revision = (folder / "refs" / "main").read_text()
    snapshot = folder / "snapshots" / revision
    files = need.choose([path.name for path in snapshot.iterdir()])
    expected = {name: Expected((snapshot / name).stat().st_size, file_sha256(snapshot / name)) for name in files}
    return Located(need, asked, revision, "apache-2.0", snapshot, expected)


def _on_hub(need: Need, asked: str | None, cache: Path, revision: str | None) -> Located:
    found = hub.repository(need.repo, revision)
    expected = {name: found.stated(name) for name in need.choose(list(found.files))}
    folder = cache / repo_folder(need.repo) / validate.commit(found.commit)
    return Located(need, asked, found.commit, found.license, folder, expected)


def download(located: Located, name: str, advance: Callable[[int], object], by_xet: bool = False) -> None:
    """Download one file, continuing where an earlier try stopped. It gets its name only when its hash is right.

    hf_hub_download would start a gigabyte from zero after each interruption: its partial files belong to one process.
    `advance` is called with the number of new bytes. `by_xet` tries the hub's chunked storage first. Raises FetchError,
    or OSError for the disk.
    """
    repo, want, target = located.need.repo, located.expected[name], located.folder / name
    if "checkpoint" in located.need.roles:  # written here, under a name that may be somebody else's on the hub
        raise FetchError(f"{name} of {repo} has gone since it was written: the cache is changed; run the command again")
    url = hub.file_url(repo, located.revision, name)
    where = f"{name} of {repo} at {located.revision} from {environment.shown_endpoint()}"
    partial = partial_of(target)
    partial.parent.mkdir(parents=True, exist_ok=True)
    headers = environment.token_headers(url)
    whole = target.with_name(f"{name}.xet")  # not the partial file: HTTP goes on at that one's end
    whole.unlink(missing_ok=True)  # of a download that was killed
    if by_xet and not partial.exists() and xet.download(url, whole, want.size, headers):
        whole.rename(partial)
        advance(partial.stat().st_size)
    with partial.open("ab") as stream:
        announced = transfer.download(
            url, stream, where, limit=hub.limit(name), size=want.size, headers=headers, advance=advance
        )
    if want.size is None and want.sha256 is None:  # a mirror that lists neither: take those of the file's response
        want = Expected(announced.size, announced.sha256)
    if problem := want.difference(partial):
        partial.unlink()
        raise FetchError(f"{name} of {repo} {problem}: it was removed, run `python -m layer build` again")
    partial.rename(target)


def download_url(url: str, target: Path, sha256: str) -> None:
    """Download a file by its address. `sha256` is the beginning of its hash, "" if nothing is known of it.

    The token is sent if the address is of the hub. Raises FetchError.
    """
    partial = partial_of(target)
    partial.parent.mkdir(parents=True, exist_ok=True)
    where = environment.without_password(url)
    environment.check_name(url)
    tag = partial.with_name(f"{partial.name}.version")
    with partial.open("ab") as stream:
        _download_as_allowed(url, stream, where, None if sha256 else tag)
    tag.unlink(missing_ok=True)
    found = file_sha256(partial)
    if not found.startswith(sha256):
        partial.unlink()
        raise FetchError(f"{where} has sha256 {found}, expected is {sha256}...: it was removed, run the build again")
    partial.rename(target)


def _download_as_allowed(url: str, stream: BinaryIO, where: str, tag: Path | None) -> None:
    """Send the token to the hub, and ask without it if it is refused: with an expired one, public files are, too."""
    headers = environment.token_headers(url) if environment.is_of_hub(url) else {}
    try:
        transfer.download(url, stream, where, limit=hub.MAX_WEIGHTS, headers=headers, tag=tag)
    except UnauthorizedError as refused:
        if not headers:
            raise
        try:
            transfer.download(url, stream, where, limit=hub.MAX_WEIGHTS, tag=tag)
        except UnauthorizedError:
            raise refused from None  # it names the token, and what to do about it


def partial_of(target: Path) -> Path:
    """Return the path of a download that is not complete yet."""
    return target.with_name(f"{target.name}.partial")
