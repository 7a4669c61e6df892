"""Ask the hub about a repository: its commit, its license, its files. Every value is checked before it is used."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from layer.errors import FetchError
from layer.naming import validate
from layer.network import environment, transfer
from layer.network.refusals import one_line
from layer.sources.expected import Expected

MAX_WEIGHTS = 200 << 30  # bytes; ten times the largest checkpoint that open_clip names
MAX_TEXT = 128 << 20  # a config or a tokenizer; the largest tokenizer.json of the registry has 37 MB
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".npz")


@dataclass(frozen=True)
class Repository:
    """A repository at one commit, 40 hex digits; `files` is what the hub says of each, by name, unchecked."""

    commit: str
    license: str | None
    files: Mapping[str, Mapping[str, Any]]

    def stated(self, name: str) -> Expected:
        """Return what the hub says of a file. Raises FetchError for what cannot be, ValueError for a bad name."""
        return _stated(self.files[name], validate.file_name(name))


_known: dict[tuple[str, str, str | None], Repository] = {}  # within a process a branch stands still
_knowing = threading.Lock()


def repository(repo: str, revision: str | None) -> Repository:
    """Ask the hub about a repository; None is its default branch. Raises FetchError."""
    key = environment.endpoint(), repo, revision
    with _knowing:
        found = _known.get(key)
    if found is None:
        found = _ask(repo, revision)
        with _knowing:
            _known[key] = found
    return found


def file_url(repo: str, commit: str, name: str) -> str:
    """Return the URL of a file at a commit. Raises ValueError for a name or a commit that is not valid."""
    file = quote(validate.file_name(name))
    return f"{environment.endpoint()}/{validate.repository(repo)}/resolve/{validate.commit(commit)}/{file}"


def limit(name: str) -> int:
    """Return the most bytes that a file of this name may have."""
    return MAX_WEIGHTS if name.endswith(WEIGHTS) else MAX_TEXT


def _ask(repo: str, revision: str | None) -> Repository:
    where = f"{one_line(repo)} at {one_line(revision or 'its default branch')} from {environment.shown_endpoint()}"
    try:
        path = f"/api/models/{validate.repository(repo)}"
        if revision is not None:
            path += f"/revision/{quote(validate.revision(revision), safe='')}"
    except ValueError as error:
        raise FetchError(
            f"{error}: check its name and `revision` in models.toml, or what the model's config names"
        ) from error
    data = transfer.get_json(f"{environment.endpoint()}{path}?blobs=true", where)
    try:
        found = _repository(data, where)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise FetchError(
            f"{where}: the hub's response cannot be used ({one_line(str(error))}). Check HF_ENDPOINT"
        ) from error
    if revision and validate.is_commit(revision) and found.commit != revision:
        raise FetchError(
            f"{where}: the response is about commit {found.commit}. Check HF_ENDPOINT: a mirror has to know commits"
        )
    return found


def _repository(data: Any, where: str) -> Repository:
    if not isinstance(data, dict):
        raise FetchError(f"{where}: the response is not the hub's about a repository. Check HF_ENDPOINT")
    if data.get("sha") is None:
        raise FetchError(f"{where}: the hub names no commit. Check HF_ENDPOINT: a mirror has to pass it on")
    files = {sibling["rfilename"]: sibling for sibling in data.get("siblings") or []}
    return Repository(validate.commit(data["sha"]), _license(data), files)


def _stated(sibling: Mapping[str, Any], name: str) -> Expected:
    large = sibling.get("lfs") or {}
    try:
        size, digest, blob = large.get("size", sibling.get("size")), large.get("sha256"), sibling.get("blobId")
        if size is not None and (type(size) is not int or not 0 <= size <= limit(name)):
            raise ValueError(f"{validate.shown(size)} bytes: at most {limit(name)} are taken of such a file")
        sha256 = validate.sha256(digest) if digest is not None else None
        return Expected(size, sha256, validate.commit(blob) if blob is not None and sha256 is None else None)
    except (ValueError, AttributeError) as error:
        raise FetchError(f"{name}: the hub's response cannot be used ({error}). Check HF_ENDPOINT") from error


def _license(data: Mapping[str, Any]) -> str | None:
    card = data.get("cardData")
    found = card.get("license") if isinstance(card, dict) else None
    text = ", ".join(str(one) for one in found) if isinstance(found, list) else found
    return one_line(text, 100) if isinstance(text, str) and text else None
