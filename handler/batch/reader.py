"""Where the images of a batch come from: S3, or a folder on this machine."""

import errno
import hashlib
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from handler.batch.files import GONE
from handler.batch.rows import Row
from handler.errors import ApiError
from handler.imaging.s3 import ARCHIVED, MISSING, UNREADABLE

AT_ONCE = 32  # downloads: a small object takes 50 to 100 ms, nearly all of it waiting
NO_FILE = GONE | {errno.EISDIR}  # where there is no file of a name, as when a folder is listed
PATIENCE = 3  # objects that S3 does not give, of many that are independent of each other


class TransientError(Exception):
    """S3, or a folder, did not give an image now, and may later: the shard or the message has to be tried again."""


class LargerError(Exception):
    """An object has more bytes than there is room for: it was replaced since it was listed, or nobody said its size."""


class Found(NamedTuple):
    """The bytes of an image, and what its source says of them; `modified` in milliseconds since 1970."""

    data: bytes
    etag: str
    modified: int


class Reader(Protocol):
    """Reads one image of a row."""

    def read(self, row: Row, room: int, /) -> Found:
        """Return it. Raises ApiError for what will not get better, TransientError for what may.

        Of more than `room` bytes nothing is read: raises LargerError.
        """


class FolderReader:
    """Images below one folder. The etag is the MD5 of the bytes, as S3 has it for an object put in one part."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes

    def read(self, row: Row, room: int) -> Found:
        """Return the file.

        Raises LargerError, and ApiError object_not_found, object_not_readable, object_too_large or empty_input; and
        TransientError where the folder itself is away or empty, which says nothing of its images.
        """
        path = self._root / row.key
        try:
            facts = path.stat()
            _check_size(row, facts.st_size, self._max_bytes, room)
            data = path.read_bytes()
        except OSError as error:
            if error.errno in NO_FILE:
                self._check_root(row)
                raise ApiError("object_not_found", f"{row.key} is not there") from error
            raise ApiError("object_not_readable", f"{row.key} cannot be read: {error.strerror}") from error
        return Found(data, hashlib.md5(data, usedforsecurity=False).hexdigest(), facts.st_mtime_ns // 1_000_000)

    def _check_root(self, row: Row) -> None:
        if self._root.is_dir() and any(self._root.iterdir()):
            return
        raise TransientError(
            f"{row.key} is not there, and {self._root} is away or empty: see that its drive is mounted, and run this "
            "again. If all images are gone, remove the output"
        )


class BucketReader:
    """Objects of S3. `client` is boto3's, made for AT_ONCE connections."""

    def __init__(self, client: Any, max_bytes: int) -> None:
        self._client = client
        self._max_bytes = max_bytes

    def read(self, row: Row, room: int) -> Found:
        """Return the object as it is now. Raises ApiError and LargerError as FolderReader does, or TransientError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.get_object(Bucket=row.bucket, Key=row.key)
            with closing(answer["Body"]) as body:  # or one that is not read would keep its connection
                _check_size(row, int(answer["ContentLength"]), self._max_bytes, room)
                data = body.read()
        except ClientError as error:
            raise _explain(row, error.response.get("Error", {}).get("Code", "")) from error
        except (BotoCoreError, OSError) as error:
            raise TransientError(f"s3://{row.bucket}/{row.key} cannot be fetched: {type(error).__name__}") from error
        return Found(data, answer["ETag"].strip('"'), int(answer["LastModified"].timestamp() * 1000))


class OneByOne:
    """Lets what S3 does not give now cost its own row alone: `reader`'s TransientError becomes s3_unavailable.

    After PATIENCE of them no more is asked for: S3 is away then, and each object takes minutes to fail.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._failures: list[TransientError] = []

    def read(self, row: Row, room: int) -> Found:
        """Return the object. Raises ApiError and LargerError as `reader` does, or ApiError s3_unavailable."""
        if len(self._failures) >= PATIENCE:
            raise ApiError("s3_unavailable", f"{row.key} was not asked for: {self._failures[-1]}")
        try:
            return self._reader.read(row, room)
        except TransientError as error:
            self._failures.append(error)
            raise ApiError("s3_unavailable", str(error)) from error


def make_client() -> Any:
    """Make boto3's client for many images: patient, since a batch has time."""
    import boto3
    from botocore.config import Config

    retries: Any = {"mode": "adaptive", "max_attempts": 8}  # adaptive: fewer requests where S3 says SlowDown
    config = Config(connect_timeout=5, read_timeout=20, retries=retries, max_pool_connections=AT_ONCE + 4)
    return boto3.client("s3", config=config)


def now() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _check_size(row: Row, size: int, max_bytes: int, room: int) -> None:
    if size > max_bytes:
        raise ApiError("object_too_large", f"{row.key} has {size:,} bytes: at most {max_bytes:,} are read")
    if size == 0:
        raise ApiError("empty_input", f"{row.key} has no bytes")
    if size > room:
        raise LargerError(f"{row.key} has {size:,} bytes, and there is room for {room:,}")


def _explain(row: Row, code: str) -> Exception:
    where = f"s3://{row.bucket}/{row.key}"
    if code in MISSING:
        return ApiError("object_not_found", f"{where} is not there")
    if code == ARCHIVED:
        return ApiError("object_archived", f"{where} is archived: restore it (`aws s3api restore-object`)")
    if code in UNREADABLE:
        why = (
            "its key cannot be used, or the role may not read it (or, without s3:ListBucket on the bucket, it is gone)"
        )
        return ApiError("object_not_readable", f"S3 does not give {where} ({code}): {why}")
    return TransientError(f"S3 answered {code} for {where}")
