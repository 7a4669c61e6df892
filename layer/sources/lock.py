"""models.lock, beside models.toml: the commit of every repository, the size and sha256 of every file that was built."""

import errno
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from layer.errors import LockError
from layer.files import replace, text_file
from layer.naming import validate

VERSION = 1


@dataclass(frozen=True)
class LockedFile:
    """A file as it was fetched: `size` in bytes, `sha256` as 64 hex digits."""

    size: int
    sha256: str


@dataclass(frozen=True)
class LockedSource:
    """A repository as it was fetched: `asked` is the branch, tag or commit of models.toml, None the default branch.

    `as_found` names the files of a prepared source that had no hash to compare when they were first taken.
    """

    repo: str
    asked: str | None
    revision: str
    roles: tuple[str, ...]
    license: str | None
    files: Mapping[str, LockedFile]
    as_found: tuple[str, ...] = ()


Lock = dict[str, tuple[LockedSource, ...]]  # by the model's id


def lock_path(spec: Path) -> Path:
    """Name the lock of a models.toml: the same name, ending in .lock."""
    return spec.with_suffix(".lock")


def read(path: Path) -> Lock:
    """Read a lock; a missing one is empty. Raises LockError if it is damaged."""
    try:
        data = json.loads(text_file.read(path))
        if data["version"] != VERSION:
            version = validate.shown(data["version"])
            raise LockError(f"{path} has version {version}, this builder knows {VERSION}: remove it and build")
        return {model: tuple(_source(source) for source in sources) for model, sources in data["models"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else repr(error)  # our own, or a library's
        raise LockError(f"{path} is damaged ({reason}): restore it from git, or remove it and build") from error


def check_writable(path: Path | None, pins: Lock, models: Iterable[str]) -> None:
    """Raise LockError if the lock lacks a model and cannot be written; called before anything is downloaded."""
    if path is None or all(model in pins for model in models):
        return
    real = replace.place(path)
    with _explained(path, real):
        _aside(real).touch()
        _aside(real).unlink()


def write(path: Path, lock: Lock) -> None:
    """Write a lock if it has changed, with one line for each file, so that a diff is readable.

    It is written under another name first, then renamed; where it is a link, beside its target. Raises LockError if it
    cannot be written.
    """
    models = {model: [_json(source) for source in lock[model]] for model in sorted(lock)}
    text = json.dumps({"version": VERSION, "models": models}, indent=1, ensure_ascii=False) + "\n"
    if path.exists() and path.read_bytes() == text.encode():
        return
    real = replace.place(path)
    with _explained(path, real):
        _aside(real).write_text(text, encoding="utf-8")
        _aside(real).rename(real)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


@contextmanager
def _explained(path: Path, real: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # no directory is to blame
        shown = path if real == path else f"{path} leads to {real}, which"
        made = f"make the directory {real.parent}" if error.errno == errno.ENOENT else "make its directory writable"
        raise LockError(
            f"{shown} cannot be written ({error.strerror}), and it has to pin what is built: {made}, or copy "
            "models.toml into one that is writable, and name it by --models"
        ) from error


def changes(old: Lock, new: Lock) -> Iterator[str]:
    """Return the differences between two locks, a line for each repository and file."""
    for model in sorted({*old, *new}):
        before = {source.repo: source for source in old.get(model, ())}
        after = {source.repo: source for source in new.get(model, ())}
        for repo in sorted({*before, *after}):
            yield from _changed(model, repo, before.get(repo), after.get(repo))


def _changed(model: str, repo: str, old: LockedSource | None, new: LockedSource | None) -> Iterator[str]:
    if old == new:
        return
    revisions = " -> ".join(source.revision[:12] if source else "none" for source in (old, new))
    yield f"{model}: {repo} {revisions}"
    before, after = (dict(source.files) if source else {} for source in (old, new))
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            changed_values = " -> ".join(
                f"{file.size} bytes, sha256 {file.sha256[:12]}" if file else "none"
                for file in (before.get(name), after.get(name))
            )
            yield f"  {name}: {changed_values}"


def _json(source: LockedSource) -> dict[str, object]:
    files = {name: f"{file.size} {file.sha256}" for name, file in sorted(source.files.items())}
    noted = {"as_found": list(source.as_found)} if source.as_found else {}
    known = {key: value for key, value in asdict(source).items() if key != "as_found"}
    return {**known, "roles": " ".join(source.roles), "files": files, **noted}


def _source(data: Mapping[str, Any]) -> LockedSource:
    """Read a source, and validate what becomes part of a path or a URL. Raises ValueError, KeyError, TypeError."""
    files = {validate.file_name(name): _file(line) for name, line in dict(data["files"]).items()}
    if len({name.lower() for name in files}) < len(files):
        raise ValueError("two files have names that differ in case alone")
    asked, license_name = data["asked"], data["license"]
    if license_name is not None and not (isinstance(license_name, str) and license_name.isprintable()):
        raise ValueError(f"{validate.shown(license_name)} is not a license")
    return LockedSource(
        validate.repository(data["repo"]),
        None if asked is None else validate.revision(asked),
        validate.commit(data["revision"]),
        tuple(str(data["roles"]).split()),
        license_name,
        files,
        tuple(validate.file_name(name) for name in data.get("as_found", ())),
    )


def _file(line: str) -> LockedFile:
    size, sha256 = line.split()
    if not size.isascii() or not size.isdigit():
        raise ValueError(f"{validate.shown(size)} is not a size")
    return LockedFile(int(size), validate.sha256(sha256))
