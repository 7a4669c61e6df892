"""Find a text whose lines were made to end as on Windows: its hash is another one, and nothing is lost."""

import hashlib
import shlex
from pathlib import Path

from layer.findings.finding import Finding
from layer.sources.expected import Expected
from layer.sources.hub import MAX_TEXT


def converted(path: Path, *known: Expected | None) -> bool:
    """Tell whether a file is one of the known ones but for its line ends, as git writes it under core.autocrlf."""
    if path.stat().st_size > MAX_TEXT:
        return False
    data = path.read_bytes()
    before = data.replace(b"\r\n", b"\n")
    if before == data:
        return False
    hashes = {hashlib.sha256(before).hexdigest()}
    hashes.add(hashlib.sha1(b"blob %d\0" % len(before) + before, usedforsecurity=False).hexdigest())
    return any(one is not None and (one.sha256 or one.blob_id) in hashes for one in known)


def finding(folder: Path, path: Path) -> Finding:
    """Name the file, and for a clone what to type. git takes an existing file for checked out: it is removed first."""
    if not (folder / ".git").is_dir():
        return Finding("line-ends-converted", str(path))
    git = f"git -C {shlex.quote(str(folder))}"
    again = f"rm {shlex.quote(str(path))}; {git} checkout -- {shlex.quote(path.name)}"
    return Finding("line-ends-converted", str(path), command=f": {git} config core.autocrlf false; {again}")
