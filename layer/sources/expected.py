"""What a file of a repository has to be: its size and a hash, as the hub, models.lock or a prepared source says."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from layer.progress import file_sha256


@dataclass(frozen=True)
class Expected:
    """What is known of a file: its `sha256`, or git's `blob_id` for a small file, or neither, as of some mirrors."""

    size: int | None
    sha256: str | None
    blob_id: str | None = None

    def is_at(self, path: Path) -> bool:
        """Tell whether a file is there with its size. Its hash was checked before it got its name."""
        try:
            return self.size in (None, path.stat().st_size)
        except FileNotFoundError:
            return False

    def difference(self, path: Path) -> str | None:
        """Say how a file differs from the expected one; None if it does not, as far as size and hash are known."""
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"has {size} bytes, the hub says {self.size}"
        if self.sha256:
            found, wanted = file_sha256(path), self.sha256
        elif self.blob_id:
            found, wanted = git_blob(path), self.blob_id
        else:
            return None
        return None if found == wanted else f"has the hash {found}, the hub says {wanted}"

    def digest(self, path: Path) -> str:
        """Return the file's sha256: the expected one if that is known, else the file is hashed."""
        return self.sha256 or file_sha256(path)


def git_blob(path: Path) -> str:
    """Return git's blob id of a file, 40 hex digits: the hub states it for small files."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
