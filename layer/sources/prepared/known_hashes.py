"""Read the hashes that a source has of its files: in names of blobs, in listings, in the notes of a download."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer.naming import validate
from layer.sources.expected import Expected, git_blob
from layer.sources.lock import LockedFile
from layer.sources.prepared import git_clone
from layer.sources.prepared.survey import Copy

CONTENTS = "openclip-cache.json"  # what `python -m layer fetch` writes beside the repositories
MAX_LISTING = 32 << 20  # bytes
MAX_CARD = 8192  # characters; the header is at the beginning
_LICENSE = re.compile(r"---\n(?:(?!---).*\n)*?license:[ \t]*([\w.-]{1,100})[ \t]*\n", re.ASCII)
_ETAG = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")


@dataclass(frozen=True)
class Notes:
    """What a copy's own notes say: its commit, its license, and the size and hash of each file.

    `had` are the files that the copy had when it was made; `files` may list others of the repository, too.
    """

    commit: str | None = None
    license: str | None = None
    files: Mapping[str, Expected] | None = None
    had: frozenset[str] = frozenset()

    def of(self, folder: Path, name: str) -> Expected | None:
        """Return the size and hash that are known of a file; None if no hash is known."""
        listed = (self.files or {}).get(name)
        known = listed if listed and listed.sha256 else _blob(folder / name) or listed
        return known if known and (known.sha256 or known.blob_id) else None


def of_cache(copy: Copy, revision: str) -> Notes:
    """Read the notes of a repository in a cache: what `fetch` wrote, else the listing of `snapshot_download`."""
    contents = _json(copy.folder.parent / CONTENTS)
    for one in _list(contents.get("repositories")):
        if isinstance(one, dict) and (one.get("repo"), one.get("revision")) == (copy.repo, revision):
            files = {str(name): _fact(fact) for name, fact in _dict(one.get("files")).items()}
            had = frozenset(files)
            files = {name: fact for name, fact in files.items() if name not in _list(one.get("as_found"))}
            return Notes(revision, _text(one.get("license")), files, had)
    snapshot = copy.folder / "snapshots" / revision
    return Notes(revision, _license(snapshot), _listing(copy.folder, revision))


def of_folder(folder: Path) -> Notes:
    """Read the notes that `hf download --local-dir` leaves in a folder, or git."""
    downloads = folder / ".cache" / "huggingface"
    noted = {path.name.removesuffix(".metadata"): _metadata(path) for path in _files(downloads / "download")}
    commits = {commit for commit, _ in noted.values() if commit}
    files = {name: etag for name, (_, etag) in noted.items() if etag}
    if len(commits) == 1:
        [commit] = commits
        return Notes(commit, _license(folder), {**_listing(downloads, commit), **files}, frozenset(noted))
    if (folder / ".git").is_dir():
        indexed = git_clone.files(folder)
        return Notes(git_clone.commit(folder), _license(folder), indexed, frozenset(indexed))
    named = folder.name if validate.is_commit(folder.name) else None
    return Notes(named, _license(folder), files)


def difference(known: Expected, path: Path, fact: LockedFile) -> str | None:
    """Say how a file differs from what is known of it; None if it does not."""
    if known.size not in (None, fact.size):
        return f"it has {fact.size} bytes, and should have {known.size}"
    if known.sha256:
        return None if known.sha256 == fact.sha256 else f"its sha256 is {fact.sha256}, and should be {known.sha256}"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{fact.sha256}\nsize {fact.size}\n".encode()
    of_pointer = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer, usedforsecurity=False).hexdigest()
    if known.blob_id in (of_pointer, found := git_blob(path)):
        return None
    with path.open("rb") as stream:
        if known.blob_id == hashlib.file_digest(stream, "sha1").hexdigest():  # a proxy's ETag may be that
            return None
    return f"its git hash is {found}, and should be {known.blob_id}"


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".metadata" and path.is_file())
    except OSError:
        return []


def _metadata(path: Path) -> tuple[str | None, Expected | None]:
    """Read commit and etag. The library's own reader is not used: it locks, and removes what it cannot read."""
    try:
        with path.open(encoding="utf-8") as stream:
            commit, etag = stream.readline(200).strip(), stream.readline(200).strip()
        return validate.commit(commit), _etag(etag)
    except (OSError, ValueError):
        return None, None


def _blob(path: Path) -> Expected | None:
    """Return the hash in the name of the blob that a link leads to; None if the file is not a link."""
    try:
        return _etag(path.readlink().name)
    except OSError:
        return None


def _etag(text: str) -> Expected | None:
    if not _ETAG.fullmatch(text):
        return None
    return Expected(None, text) if len(text) == 64 else Expected(None, None, text)


def _listing(folder: Path, commit: str) -> dict[str, Expected]:
    listed = _dict(_json(folder / "trees" / f"{commit}.json").get("files"))
    return {str(name): _fact(fact) for name, fact in listed.items()}


def _fact(fact: Any) -> Expected:
    data = _dict(fact)
    sha256, blob = data.get("sha256", data.get("lfs_sha256")), data.get("blob_id")
    size = data.get("lfs_size") or data.get("size")
    try:
        digest = None if sha256 is None else validate.sha256(sha256)
        return Expected(
            size if type(size) is int else None,
            digest,
            None if blob is None or digest is not None else validate.commit(blob),
        )
    except ValueError:
        return Expected(None, None)


def _license(folder: Path) -> str | None:
    """Return the license that the repository's own card states."""
    try:
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as stream:
            found = _LICENSE.match(stream.read(MAX_CARD))
    except OSError:
        return None
    return found[1] if found else None


def _text(value: Any) -> str | None:
    return value[:100] if isinstance(value, str) and value.isprintable() and value else None


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_LISTING:
            return {}
        return _dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
