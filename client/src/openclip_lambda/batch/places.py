"""The place of a run's plan and results: a bucket, or a directory of this machine, with the same names in both."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple, Protocol

from openclip_lambda.batch.aws import asking, code_of

GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}  # it was removed meanwhile, or is a broken link


class Entry(NamedTuple):
    """A file, and when it was written, in seconds since 1970."""

    name: str
    modified: float


class Place(Protocol):
    """Named bytes. A name has slashes, such as `vectors/model=.../run=.../00000000.parquet`."""

    label: str

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Yield what lies under a prefix that ends with a slash, at any depth, in the order of names."""

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders right below a prefix that ends with a slash."""

    def read(self, name: str) -> bytes | None:
        """Return a file, or None where there is none."""


def files_below(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files of a directory and of those in it, with their facts; what goes meanwhile is left out.

    Raises OSError for a directory or a file that cannot be read for another reason.
    """
    for folder, folders, names in os.walk(root, onerror=_raise_unless_gone):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            try:
                facts = path.stat()
            except OSError as error:
                _raise_unless_gone(error)
                continue
            if S_ISREG(facts.st_mode):
                yield path, facts


def _raise_unless_gone(error: OSError) -> None:
    if error.errno not in GONE:
        raise error


class Directory:
    """A directory of this machine."""

    def __init__(self, root: Path) -> None:
        self._root, self.label = root, str(root)

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Yield the files below it; those that are being written begin with a dot, and are left out."""
        for path, facts in files_below(self._root / prefix):
            if not path.name.startswith("."):
                yield Entry(path.relative_to(self._root).as_posix(), facts.st_mtime)

    def folders(self, prefix: str) -> list[str]:
        """Return the folders right below it."""
        above = self._root / prefix
        return sorted(path.name for path in above.iterdir() if path.is_dir()) if above.is_dir() else []

    def read(self, name: str) -> bytes | None:
        """Return a file. Raises OSError where it cannot be read."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None


class Bucket:
    """A bucket. `client` is boto3's. Methods raise ClientError where S3 refuses."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket, self.label = client, bucket, f"s3://{bucket}"

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Yield the objects under it."""
        with asking(self.label):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for item in page.get("Contents", ()):
                    yield Entry(item["Key"], item["LastModified"].timestamp())

    def folders(self, prefix: str) -> list[str]:
        """Return the common prefixes right below it."""
        asked = {"Bucket": self._bucket, "Prefix": prefix, "Delimiter": "/"}
        with asking(self.label):
            pages = self._client.get_paginator("list_objects_v2").paginate(**asked)
            found = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", ())]
        return [name.removeprefix(prefix).rstrip("/") for name in found]

    def read(self, name: str) -> bytes | None:
        """Return an object."""
        with asking(f"{self.label}/{name}"):
            try:
                return bytes(self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read())
            except self._client.exceptions.ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return None
                raise
