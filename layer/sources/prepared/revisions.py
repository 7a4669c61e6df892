"""Choose one of a cached repository's snapshots: by models.lock, by the cache's refs, or because it is the only one."""

from pathlib import Path

from layer.findings.finding import Finding
from layer.naming.validate import is_commit
from layer.sources.lock import LockedSource

MAX_REF = 1000  # bytes


class UnresolvedError(Exception):
    """It cannot be decided which snapshot of a repository to take; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


def of_cache(folder: Path, asked: str | None, pin: LockedSource | None) -> str:
    """Return the commit to take of a repository's folder in a cache. Raises UnresolvedError.

    It is the pin's commit if the cache has that. Otherwise it is the one that the cache has for `asked` (a branch, a
    tag or a commit; None is the default branch): its files may still be those of the pin, since weights seldom change.
    """
    there = _snapshots(folder)
    if not there:
        raise UnresolvedError(Finding("no-snapshot", str(folder)))
    if pin and pin.revision in there:
        return pin.revision
    if asked in there:
        return str(asked)
    return _by_reference(folder, asked, there)


def _by_reference(folder: Path, asked: str | None, there: list[str]) -> str:
    refs = folder / "refs" / (asked or "main")
    listed = f"snapshots/ has {', '.join(there[:5])}{', ...' if len(there) > 5 else ''}"
    if asked and is_commit(asked):
        raise UnresolvedError(Finding("revision-missing", str(folder), f"revision = {asked}; {listed}"))
    try:
        with refs.open(encoding="utf-8") as stream:
            named = stream.read(MAX_REF)
    except (OSError, ValueError):
        if asked:
            raise UnresolvedError(Finding("revision-missing", str(refs), f"revision = {asked}; {listed}")) from None
        if len(there) > 1:
            raise UnresolvedError(Finding("refs-missing", str(refs), listed)) from None
        return there[0]
    if named != named.strip():
        raise UnresolvedError(Finding("refs-newline", str(refs), listed))
    if named not in there:
        raise UnresolvedError(Finding("refs-unknown", str(refs), f"it names {named[:100]}; {listed}"))
    return named


def _snapshots(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in (folder / "snapshots").iterdir() if is_commit(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UnresolvedError(Finding("unreadable", str(error.filename or folder), error.strerror or "")) from error
