"""Check one copy of a repository: its commit, which of the needed files it has, and whether they are complete."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from layer.findings.finding import Finding
from layer.naming import validate
from layer.progress import file_sha256
from layer.sources import resolve
from layer.sources.expected import Expected
from layer.sources.fetch import Located, repo_folder
from layer.sources.hub import WEIGHTS
from layer.sources.lock import LockedFile, LockedSource
from layer.sources.prepared import damage, git_clone, known_hashes, line_ends, revisions
from layer.sources.prepared.survey import Copy
from layer.sources.resolve import Need

UNPROVEN = (
    "and nothing says which commit these files are: if they are of that one, give their folder its name, "
    "or remove `revision`"
)
_PARTS = (".partial", ".part", ".crdownload")  # of this builder, of browsers
_OTHER_WEIGHTS = r"\.(safetensors|bin|pth|pt|ckpt|npz|gguf|onnx|h5|msgpack)(\.index\.json|\.part|\.aria2)?$"


class LackingError(Exception):
    """A copy cannot be used: `findings` has every reason."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(", ".join(finding.code for finding in findings))
        self.findings = list(findings)


@dataclass(frozen=True)
class _Snapshot:
    """The files of one commit in `folder`; `revision` is None where nothing says which commit it is."""

    copy: Copy
    repo: str
    folder: Path
    revision: str | None
    notes: known_hashes.Notes

    def has(self, name: str) -> bool:
        """Tell whether a file is there: in a cache, by the function that huggingface_hub uses at run time."""
        if not self.copy.cache or self.copy.folder.name != repo_folder(self.repo):
            return (self.folder / name).is_file()
        there = try_to_load_from_cache(self.repo, name, cache_dir=self.copy.folder.parent, revision=self.revision)
        return isinstance(there, str)

    def has_known_hash(self, name: str) -> bool:
        """Tell whether the source itself has the hash of a file."""
        return self.notes.of(self.folder, name) is not None


def located(copy: Copy, need: Need, asked: str | None, pin: LockedSource | None) -> Located:
    """Return the needed files of a copy, of the pinned commit if there is a pin. Raises LackingError."""
    snapshot = _snapshot(copy, need.repo, asked, pin)
    names, found = _names(snapshot, need)
    if pin and snapshot.revision != pin.revision and not set(names) & set(pin.files):
        raise LackingError([_other_commit(snapshot, pin)])
    if pin and not found and _is_for(pin, need):
        names, found = _pinned(snapshot, need, pin)
    elif pin and not found and snapshot.revision != pin.revision and set(names) - set(pin.files):
        found = [_other_commit(snapshot, pin)]  # the lock has no hash of these: they may be of any commit
    files = {}
    for name in names:
        files[name], problems = _checked(snapshot, name, pin)
        found += problems
    if found:
        raise LackingError(list(dict.fromkeys(found)))
    pinned = pin.files if pin else {}
    revision = pin.revision if pin else snapshot.revision or _digest(files)
    license_name = pin.license if pin else snapshot.notes.license
    expected = {name: Expected(fact.size, fact.sha256) for name, fact in files.items()}
    known = pinned.keys() - set(pin.as_found if pin else ())
    as_found = tuple(name for name in names if name not in known and not snapshot.has_known_hash(name))
    shown = copy.cache or asked in (None, snapshot.revision) or pin is not None or git_clone.is_at(copy.folder, asked)
    return Located(need, asked, revision, license_name, snapshot.folder, expected, as_found, not shown)


def stated(copy: Copy, repo: str, asked: str | None) -> tuple[str | None, str | None]:
    """Return the commit and the license that a copy states, None where it states none. Raises LackingError."""
    snapshot = _snapshot(copy, repo, asked, None)
    return snapshot.revision, snapshot.notes.license


def _snapshot(copy: Copy, repo: str, asked: str | None, pin: LockedSource | None) -> _Snapshot:
    if copy.cache:
        _refuse_closed(copy.folder)
        try:
            revision = revisions.of_cache(copy.folder, asked, pin)
        except revisions.UnresolvedError as error:
            cut_off = _cut_off(copy) if error.finding.code == "no-snapshot" else []
            raise LackingError([error.finding, *cut_off]) from error
        folder = copy.folder / "snapshots" / revision
        _refuse_closed(folder)
        return _Snapshot(copy, repo, folder, revision, known_hashes.of_cache(copy, revision))
    _refuse_closed(copy.folder)
    notes = known_hashes.of_folder(copy.folder)
    if asked and (told := _other_revision(copy.folder, notes.commit, asked, pin)):
        raise LackingError([Finding("revision-missing", str(copy.folder), f"revision = {asked}, {told}")])
    return _Snapshot(copy, repo, copy.folder, notes.commit, notes)


def _refuse_closed(folder: Path) -> None:
    try:
        with os.scandir(folder):
            (folder / "..").stat()  # which needs the right to enter it, as its files do
    except OSError as error:
        raise LackingError([Finding("unreadable", str(folder), error.strerror or "")]) from error


def _other_revision(folder: Path, commit: str | None, asked: str, pin: LockedSource | None) -> str | None:
    """Tell why a folder does not have the revision that is asked for. With a pin, its files are compared by hashes."""
    if asked in (commit, pin.revision if pin else None):
        return None
    if validate.is_commit(asked):
        return f"here is {commit}" if commit else None if pin else UNPROVEN
    return f"here is {commit}" if not pin and git_clone.is_at(folder, asked) is False else None


def _names(snapshot: _Snapshot, need: Need) -> tuple[list[str], list[Finding]]:
    """Return the names of the files to take, and findings for those that are absent or broken."""
    candidates = [name for names in resolve.candidates(need).values() for name in names]
    broken = {name: finding for name in candidates if (finding := damage.broken(snapshot.folder / name))}
    whole = [name for name in candidates if name not in broken and snapshot.has(name)]
    found: list[Finding] = []
    for role, names in resolve.candidates(need).items():
        there = [name for name in names if name in whole]
        told = [broken[name] for name in names if name in broken]
        if resolve.satisfies(role, there):
            found += [*told, *_taken_out(snapshot, names)] if role == "tokenizer" else []  # it makes other token ids
        else:
            found += told or _missing(snapshot, role, names)
    return (need.choose(whole), []) if not found else (whole, found)


def _is_for(pin: LockedSource, need: Need) -> bool:
    """Tell whether a pin has all that is needed: it may be another model's, which takes less of the repository."""
    return set(need.roles) <= set(pin.roles) and (not need.weights or bool(set(need.weights) & set(pin.files)))


def _pinned(snapshot: _Snapshot, need: Need, pin: LockedSource) -> tuple[list[str], list[Finding]]:
    """Return the names of the files that models.lock has, and findings for those that are absent.

    Exactly these files are taken: a tokenizer with more or fewer files also loads, but makes other token ids.
    """
    names = need.choose(list(pin.files))
    there = [name for name in names if snapshot.has(name) and not damage.broken(snapshot.folder / name)]
    absent = [name for name in names if name not in there]
    if absent and snapshot.revision not in (None, pin.revision):
        return there, [_other_commit(snapshot, pin)]
    return there, [_not_here(snapshot, name) for name in absent]


def _not_here(snapshot: _Snapshot, name: str) -> Finding:
    of_text = "tokenizer-missing" if name in resolve.TOKENIZER_FILES else "config-missing"
    code = "weights-missing" if name.endswith(WEIGHTS) else of_text
    return Finding(code, str(snapshot.folder), f"no {name}, which models.lock has")


def _missing(snapshot: _Snapshot, role: str, names: Sequence[str]) -> Iterator[Finding]:
    several = len(names) > 1
    detail = f"none of {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" if several else f"no {names[0]}"
    others = [path.name for path in snapshot.folder.parent.glob("*/") if path != snapshot.folder]
    parent = snapshot.folder.parent
    elsewhere = [other for other in others if any(os.path.exists(parent / other / name) for name in names)]  # noqa: PTH110
    if snapshot.copy.cache and elsewhere:
        detail += f"; snapshots/{elsewhere[0]} has it, which refs/main does not name"
    where = str(snapshot.folder)
    if role == "weights":
        yield Finding("weights-missing", where, detail + _other_weights(snapshot.folder))
        yield from _cut_off(snapshot.copy, snapshot.folder)
    elif role == "tokenizer":
        yield Finding("tokenizer-missing", where, detail)
    else:
        yield Finding("config-missing", where, detail)


def _taken_out(snapshot: _Snapshot, names: Sequence[str]) -> Iterator[Finding]:
    """Yield the files of a tokenizer that, by its notes, the folder had when it was made, and that are gone."""
    for name in names:
        if name in snapshot.notes.had and not os.path.lexists(snapshot.folder / name):
            yield Finding("tokenizer-missing", str(snapshot.folder), f"no {name}, which it had when it was made")


def _other_weights(folder: Path) -> str:
    """Name other files that may be weights, such as shards: open_clip takes one file, under a few known names."""
    there = sorted(path.name for path in folder.glob("*") if re.search(_OTHER_WEIGHTS, path.name))
    return f"; there is {', '.join(there[:3])}{', ...' if len(there) > 3 else ''}" if there else ""


def _cut_off(copy: Copy, *folders: Path) -> list[Finding]:
    below = copy.folder / "blobs" if copy.cache else copy.folder / ".cache" / "huggingface" / "download"
    parts = [*below.glob("*.incomplete")]
    parts += [path for folder in {copy.folder, *folders} for end in _PARTS for path in folder.glob(f"*{end}")]
    return [Finding("incomplete-download", str(path)) for path in sorted(parts)]


def _checked(snapshot: _Snapshot, name: str, pin: LockedSource | None) -> tuple[LockedFile, list[Finding]]:
    """Hash a file, and compare the hash with the source's own and with that of models.lock."""
    path = snapshot.folder / name
    try:
        size, sha256 = path.stat().st_size, file_sha256(path)
    except OSError as error:
        return LockedFile(0, ""), [Finding("unreadable", str(path), error.strerror or "")]
    fact, problems = LockedFile(size, sha256), []
    known = snapshot.notes.of(snapshot.folder, name)
    if not known and (told := damage.unreadable(path)):
        problems.append(Finding("incomplete-download", str(path), told))
    told = known_hashes.difference(known, path, fact) if known else None
    pinned = pin.files.get(name) if pin else None
    of_pin = Expected(pinned.size, pinned.sha256) if pinned else None
    if (told or pinned not in (None, fact)) and line_ends.converted(path, known, of_pin):
        problems.append(line_ends.finding(snapshot.folder, path))
    elif told:
        problems.append(Finding("hash-mismatch", str(path), told))
    elif pin and pinned not in (None, fact):
        problems.append(_not_pinned(snapshot, path, pin, fact))
    return fact, problems


def _not_pinned(snapshot: _Snapshot, path: Path, pin: LockedSource, fact: LockedFile) -> Finding:
    if snapshot.revision == pin.revision:
        told = f"its sha256 is {fact.sha256}, and models.lock has {pin.files[path.name].sha256} at the same commit"
        return Finding("hash-mismatch", str(path), told)
    return _other_commit(snapshot, pin)


def _other_commit(snapshot: _Snapshot, pin: LockedSource) -> Finding:
    there = snapshot.revision or "files of no known commit"
    return Finding("revision-missing", str(snapshot.folder), f"models.lock has {pin.revision}, here is {there}")


def _digest(files: dict[str, LockedFile]) -> str:
    """Make 40 digits, in the place of a commit, of the contents of files whose commit is not known."""
    listing = "".join(f"{name} {fact.sha256}\n" for name, fact in sorted(files.items()))
    return validate.commit(hashlib.sha256(listing.encode()).hexdigest()[:40])
