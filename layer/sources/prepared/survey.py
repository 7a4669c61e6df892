"""Find the repositories below a directory: in Hugging Face's cache layout, or each as a plain folder of files."""

import os
import re
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path

from layer.findings.printable import printable
from layer.naming.validate import is_commit
from layer.sources.prepared.places import Place
from layer.weights.checkpoint import SUFFIXES

MAX_DEPTH = 6  # below the directory that was named
MAX_DIRECTORIES = 20_000
MAX_CONFIG = 1 << 20  # bytes, of git's
CACHE = "models--"
_TEXTS = re.compile(
    r"open_clip_config\.json|config\.json|tokenizer.*\.json|vocab\.(json|txt)|.*\.model|merges\.txt", re.IGNORECASE
)
_NO_REPOSITORY = re.compile(r"\..*|blobs|refs|trees|(datasets|spaces|kernels)--.*|node_modules|__pycache__")


@dataclass(frozen=True)
class Copy:
    """A repository in a source. With `cache` it has Hugging Face's layout, otherwise its files are in `folder`.

    `repo` is its id if that is certain; `names` are ids that its path suggests, in lower case. `nameless` marks the
    directory that the user named, if it holds files itself: it may be any repository.
    """

    folder: Path
    cache: bool
    repo: str | None
    names: frozenset[str]
    nameless: bool = False

    def is_of(self, repo: str) -> bool:
        """Tell whether this is the repository, by its full id."""
        return self.repo == repo if self.repo else repo.casefold() in self.names

    def may_be(self, names: Sequence[str]) -> bool:
        """Tell whether its folder has one of the names; a copy whose id is certain never matches."""
        return self.repo is None and any(name.casefold() in self.names for name in names)


def survey(place: Place, closed: dict[Path, str]) -> list[Copy]:
    """Find every repository in a place. No file is opened except git's config.

    Directories that cannot be read are put into `closed`, with the reason.
    """
    if place.repo:
        return [_told(place.path, place.repo)]
    found: list[Copy] = []
    seen: set[str] = set()
    known: set[tuple[str, object]] = set()  # a link gives a directory a second name, which may be the one asked for
    queue = deque([(place.path, 0)])
    looked = 0
    while queue and looked < MAX_DIRECTORIES:
        folder, depth = queue.popleft()
        looked += 1
        real = os.path.realpath(folder)
        files, folders = _entries(folder, closed)
        copy = _copy(folder, files, folders, depth == 0)
        if copy and (real, copy.repo or copy.names) not in known:
            known.add((real, copy.repo or copy.names))
            found.append(copy)
        if real not in seen and depth < MAX_DEPTH and not (copy and copy.cache):
            queue.extend((folder / name, depth + 1) for name in folders if not _NO_REPOSITORY.fullmatch(name))
        seen.add(real)
    if queue:
        print(
            f"note: only the first {MAX_DIRECTORIES:,} directories of {printable(str(place.path))} were looked at",
            file=sys.stderr,
        )
    return found


def _told(folder: Path, repo: str) -> Copy:
    """Return the copy of a repository whose id the user gave: a folder of a cache, whatever its name, or of files.

    If no snapshot is named by a commit, this is not Hugging Face's layout: a single snapshot is taken as the folder.
    """
    snapshots = _entries(folder / "snapshots", {})[1]
    if any(is_commit(name) for name in snapshots):
        return Copy(folder, True, repo, frozenset())
    return Copy(folder / "snapshots" / snapshots[0] if len(snapshots) == 1 else folder, False, repo, frozenset())


def _entries(folder: Path, closed: dict[Path, str]) -> tuple[list[str], list[str]]:
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                (folders if _is_folder(entry) else files).append(entry.name)
    except OSError as error:
        closed[folder] = error.strerror or ""
        return [], []
    return sorted(files), sorted(folders)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Tell whether an entry is a directory; an entry that cannot be examined, as a link to itself, is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _copy(folder: Path, files: Sequence[str], folders: Sequence[str], root: bool) -> Copy | None:
    absolute = folder.absolute()
    name = absolute.name
    holds_files = any(one.endswith(SUFFIXES) or _TEXTS.fullmatch(one) for one in files)
    if name.startswith(CACHE) and ("snapshots" in folders or not holds_files):
        return Copy(folder, True, name.removeprefix(CACHE).replace("--", "/", 1), frozenset())
    if not holds_files:
        return None
    named = absolute.parent.parent if absolute.parent.name == "snapshots" else absolute
    names = frozenset(_ids(named))
    return Copy(folder, False, _git_remote(folder), names, nameless=root)


def _ids(folder: Path) -> Iterator[str]:
    """Yield the ids that a folder's name may stand for: `name`, `org/name`, and ModelScope's and others' spellings."""
    name, parent = folder.name.casefold().removeprefix(CACHE), folder.parent.name.casefold()
    for plain in {name, name.replace("___", ".")}:
        yield plain
        yield f"{parent}/{plain}"
    for sign in ("___", "--", "__"):
        if sign in name:
            owner, _, rest = name.partition(sign)
            yield f"{owner}/{rest.replace('___', '.')}"


def _git_remote(folder: Path) -> str | None:
    """Return the id of the repository that was cloned, by the remote in .git/config; None if that is unknown."""
    config = folder / ".git" / "config"
    try:
        if config.stat().st_size > MAX_CONFIG:
            return None
        parsed = ConfigParser(interpolation=None, strict=False)
        parsed.read_string(re.sub(r"(?m)^[ \t]+", "", config.read_text(encoding="utf-8")))
        url = parsed.get('remote "origin"', "url").rstrip("/").removesuffix(".git")
    except (OSError, ValueError, Error):
        return None
    parts = re.split(r"[/:]", url)
    known = [part for part in parts[-2:] if part]
    return "/".join(known[-1:] if len(known) == 2 and "." in known[0] and "//" in url else known) or None
