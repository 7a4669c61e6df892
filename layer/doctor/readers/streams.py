"""Read archives forwards, decompressed, in steps that are counted: whatever sizes they claim, memory stays small."""

import bz2
import gzip
import lzma
import sys
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, Protocol

from layer.doctor.limits import Budget, LimitReached, UnreadableError

STEP = 256_000  # bytes decompressed at once
HEADER_BYTES = 16_384  # of one member's headers, extended ones too; tarfile reads them whole, and searches in them
MAX_GLOBAL_HEADERS = 100  # of a tar: each member gets a copy
XZ_MEMORY = 100_000_000  # bytes of dictionary, which the file itself asks for
ERRORS = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,
    OverflowError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Inflated:
    """What bz2 and xz hold, read in steps: their own file objects have no limit of memory."""

    def __init__(self, source: IO[bytes], decompressor: _Decompressor) -> None:
        self._source, self._decompressor = source, decompressor

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0 and not self._decompressor.eof:
            data = self._source.read(8192) if self._decompressor.needs_input else b""
            if self._decompressor.needs_input and not data:
                raise EOFError("it ends before its end")
            parts.append(self._decompressor.decompress(data, size))
            size -= len(parts[-1])
        return b"".join(parts)


class Counted:
    """A tar as `tarfile` reads it: forwards, and at most what was allowed since the last call of `allow`."""

    def __init__(self, source: Any, budget: Budget, seekable: bool) -> None:
        self._source, self._budget, self._seekable = source, budget, seekable
        self._at, self._allowed = 0, HEADER_BYTES

    def allow(self, size: int) -> None:
        """Say how many bytes may be read until the next call."""
        self._allowed = size

    def seekable(self) -> bool:
        """Tell tarfile that it may call `seek`."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def read(self, size: int) -> bytes:
        """Read; raises tarfile.ReadError for more than is allowed."""
        self._budget.check_time()
        if not 0 <= size <= self._allowed:
            raise tarfile.ReadError(f"a header of {size:,} bytes or more")
        self._allowed -= size
        data: bytes = self._source.read(size)
        self._at += len(data)
        return data

    def seek(self, to: int, whence: int = 0) -> int:
        """Go on to a later position; raises tarfile.ReadError for an earlier one."""
        if whence or to < self._at:
            raise tarfile.ReadError("its sizes lead backwards")
        if self._seekable:
            self._at = self._source.seek(to)
        while self._at < to:
            self._budget.check_time()
            data = self._source.read(min(STEP, to - self._at))
            if not data:
                raise tarfile.ReadError("it ends before its end")
            self._at += len(data)
        return self._at


def opened_tar(source: IO[bytes], where: str, budget: Budget) -> tuple[tarfile.TarFile, Counted]:
    """Open a tar, compressed or not. Raises UnreadableError."""
    try:
        counted = Counted(*_decompressed(source, where, budget))
        return tarfile.TarFile(fileobj=counted, errorlevel=1), counted  # type: ignore[arg-type]
    except ERRORS as error:
        raise UnreadableError(where, f"not a sound tar: {error or type(error).__name__}") from error


def first_block(source: IO[bytes], where: str, budget: Budget) -> bytes:
    """Return the first 512 bytes of what a file holds, unpacked. Raises UnreadableError for what cannot be unpacked."""
    try:
        reader = _decompressed(source, where, budget)[0]
        data: bytes = reader.read(tarfile.BLOCKSIZE)
    except ERRORS as error:
        raise UnreadableError(where, f"it cannot be unpacked: {error or type(error).__name__}") from error
    return data


def members(archive: tarfile.TarFile, counted: Counted, where: str) -> Iterator[tarfile.TarInfo]:
    """Yield the members in order, none of which is kept. Raises UnreadableError where the tar ends too early."""
    while True:
        counted.allow(HEADER_BYTES)
        archive.members = []  # type: ignore[attr-defined]
        try:
            member = archive.next()
        except ERRORS as error:
            raise UnreadableError(where, f"not a sound tar: {error or type(error).__name__}") from error
        if member is None:
            return
        if len(archive.pax_headers) > MAX_GLOBAL_HEADERS:
            raise LimitReached(f"{where} has more than {MAX_GLOBAL_HEADERS} global headers")
        yield member


def content_stream(archive: tarfile.TarFile, counted: Counted, member: tarfile.TarInfo) -> IO[bytes]:
    """Return a member's content as a stream, to be read in steps. Raises UnreadableError."""
    counted.allow(sys.maxsize)
    try:
        stream = archive.extractfile(member)
    except ERRORS as error:
        raise UnreadableError(member.name, str(error) or type(error).__name__) from error
    if stream is None:
        raise UnreadableError(member.name, "it is not a file")
    return stream


def read_member(archive: tarfile.TarFile, counted: Counted, member: tarfile.TarInfo, limit: int) -> bytes:
    """Read a member's content, at most `limit` bytes. Raises UnreadableError."""
    if member.size > limit:
        raise UnreadableError(member.name, f"it has {member.size:,} bytes, more than the {limit:,} that are read")
    stream = content_stream(archive, counted, member)
    try:
        return stream.read(limit)
    except ERRORS as error:
        raise UnreadableError(member.name, str(error) or type(error).__name__) from error


def _decompressed(source: IO[bytes], where: str, budget: Budget) -> tuple[Any, Budget, bool]:
    """Return a reader, the budget, and whether the reader can skip without reading."""
    magic = source.read(6)
    source.seek(0)
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        raise UnreadableError(
            where,
            "compressed with zstd, which is not read here: write it with gzip, as skopeo copy "
            "--dest-compress-format gzip <image> oci-archive:image.tar does (to dir: and docker-archive: it does not)",
        )
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=source), budget, False
    if magic.startswith(b"BZh"):
        return _Inflated(source, bz2.BZ2Decompressor()), budget, False
    if magic.startswith(b"\xfd7zXZ"):
        return _Inflated(source, lzma.LZMADecompressor(memlimit=XZ_MEMORY)), budget, False
    return source, budget, True
