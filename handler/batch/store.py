"""Where plans are read and results are written: a bucket, or a directory for a run on this machine."""

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from handler.batch.files import files_below

TURNS = 100  # far more than other runs take away a folder just before it is used
WRITING = ".writing-"  # begins the name of a file that is not complete
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}  # of a file system without hard links: exFAT


class Entry(NamedTuple):
    """One of a store's names, with its bytes and when they were written, in milliseconds since 1970."""

    name: str
    size: int
    modified: int


class Store(Protocol):
    """Named bytes. A name is a path with slashes, such as `vectors/model=.../run=.../00000000.parquet`."""

    def read(self, name: str) -> bytes:
        """Return a name's bytes. Raises FileNotFoundError."""

    def exists(self, name: str) -> bool:
        """Tell whether a name exists."""

    def write(self, name: str, data: bytes) -> None:
        """Write a name's bytes, in place of earlier ones."""

    def write_once(self, name: str, data: bytes) -> bool:
        """Write a new name, all or nothing; False if the name exists, and then it stays as it is."""

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield the entries whose names begin with `prefix`, in the order of names."""

    def remove(self, name: str) -> None:
        """Remove a name; do nothing if it does not exist."""

    def clear(self, folder: str) -> None:
        """Remove all names in a folder, which is given with a slash at its end."""


def _remove_abandoned(folder: Path) -> None:
    """Remove the half-written files of processes that were killed. A live one holds a lock on its own."""
    for path in folder.glob(f"{WRITING}*"):
        with suppress(OSError), path.open("rb") as stream:  # gone, locked, or of a file system without locks
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _locked(folder: Path) -> tuple[BinaryIO, Path]:
    """Open a new file in a folder, of the mode that the umask gives, and lock it.

    Raises OSError where the folder cannot be made.
    """
    for turn in count():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{WRITING}{secrets.token_hex(8)}"
            stream = path.open("xb")
        except FileNotFoundError:
            if turn == TURNS:
                raise
            continue  # another run removed the folder between the two, since it was empty
        with suppress(OSError):
            fcntl.flock(stream, fcntl.LOCK_EX)
        if os.fstat(stream.fileno()).st_nlink:
            return stream, path
        stream.close()  # another run took it for abandoned before it was locked
    raise AssertionError


class Directory:
    """A store below one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes:
        """Return what is there. Raises FileNotFoundError."""
        return (self._root / name).read_bytes()

    def exists(self, name: str) -> bool:
        """Tell whether it is there."""
        return (self._root / name).exists()

    def write(self, name: str, data: bytes) -> None:
        """Write it aside, then rename it."""
        with self._aside(name, data) as aside:
            aside.replace(self._root / name)

    def write_once(self, name: str, data: bytes) -> bool:
        """Write it aside, then link it: a link fails where the name is taken."""
        with self._aside(name, data) as aside:
            try:
                os.link(aside, self._root / name)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                return self._renamed(aside, self._root / name)
        return True

    def _renamed(self, aside: Path, target: Path) -> bool:
        """Rename where nothing is yet. A rename replaces, so only one at a time may look and rename."""
        root = os.open(self._root, os.O_RDONLY)
        try:
            with suppress(OSError):  # no locks either: then two at once are not told apart, and both are whole
                fcntl.flock(root, fcntl.LOCK_EX)
            if target.exists():
                return False
            aside.replace(target)
            return True
        finally:
            os.close(root)  # and the lock with it, also where this is killed

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield the files. Raises OSError where a folder cannot be read."""
        folder = self._root / prefix.rpartition("/")[0]
        found = ((path.relative_to(self._root).as_posix(), path.name, facts) for path, facts in files_below(folder))
        for name, last, facts in sorted(found):
            if name.startswith(prefix) and not last.startswith(WRITING):
                yield Entry(name, facts.st_size, facts.st_mtime_ns // 1_000_000)

    def folders(self, folder: str) -> Iterator[str]:
        """Yield the names of the folders that lie in a folder."""
        with suppress(FileNotFoundError), os.scandir(self._root / folder) as found:
            yield from sorted(item.name for item in found if item.is_dir(follow_symlinks=False))

    def remove(self, name: str) -> None:
        """Remove the file, and the folders that are empty without it."""
        (self._root / name).unlink(missing_ok=True)
        self._remove_empty(name)

    def clear(self, folder: str) -> None:
        """Remove what is in a folder, and what killed processes left there half-written."""
        _remove_abandoned(self._root / folder)
        for entry in list(self.list(folder)):
            self.remove(entry.name)
        self._remove_empty(folder)

    def _remove_empty(self, name: str) -> None:
        """Remove the folders in front of a name's last slash that are empty."""
        last = Path(name.rpartition("/")[0])
        with suppress(OSError):  # not empty, or not there
            for folder in [last, *last.parents][:-1]:
                (self._root / folder).rmdir()

    @contextmanager
    def _aside(self, name: str, data: bytes) -> Iterator[Path]:
        """Write a file that is not complete yet. It is locked until it is renamed, or removed."""
        folder = (self._root / name).parent
        _remove_abandoned(folder)
        stream, aside = _locked(folder)
        with stream:
            try:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())  # or a machine that loses power has the name without the bytes
                yield aside
            finally:
                aside.unlink(missing_ok=True)


class Bucket:
    """A store in an S3 bucket. `client` is boto3's."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def read(self, name: str) -> bytes:
        """Return what is there. Raises FileNotFoundError, or botocore's ClientError."""
        try:
            return bytes(self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read())
        except self._client.exceptions.NoSuchKey as error:
            raise FileNotFoundError(f"s3://{self._bucket}/{name} is not there") from error

    def exists(self, name: str) -> bool:
        """Tell whether it is there. Raises botocore's ClientError where S3 does not say."""
        try:
            self._client.head_object(Bucket=self._bucket, Key=name)
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return False
            raise
        return True

    def write(self, name: str, data: bytes) -> None:
        """Put the object. Raises botocore's ClientError."""
        self._client.put_object(Bucket=self._bucket, Key=name, Body=data)

    def write_once(self, name: str, data: bytes) -> bool:
        """Put the object where there is none: S3 decides between two that write at once (If-None-Match)."""
        try:
            self._client.put_object(Bucket=self._bucket, Key=name, Body=data, IfNoneMatch="*")
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "PreconditionFailed":
                return False
            raise  # also ConditionalRequestConflict: another one is writing, and may fail yet
        return True

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield the objects. Raises botocore's ClientError."""
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                yield Entry(item["Key"], int(item["Size"]), int(item["LastModified"].timestamp() * 1000))

    def remove(self, name: str) -> None:
        """Delete the object; S3 does not mind where there is none."""
        self._client.delete_object(Bucket=self._bucket, Key=name)

    def clear(self, folder: str) -> None:
        """Delete what is below a prefix. Raises botocore's ClientError."""
        for entry in self.list(folder):
            self.remove(entry.name)
