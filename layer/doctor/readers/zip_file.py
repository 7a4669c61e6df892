"""Read the tree of a zip, as Lambda unpacks it: a layer into /opt, a function into /var/task."""

import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from layer.doctor.limits import MAX_MEMBERS, MAX_NAME, MAX_NAMES, Budget, LimitReached, UnreadableError
from layer.doctor.readers.regular import open_regular
from layer.doctor.readers.tree import Node, Tree
from layer.doctor.readers.wanted import wanted
from layer.findings.finding import Finding

MAX_LISTING = MAX_NAMES + 100 * MAX_MEMBERS  # bytes of the central directory
MEMBER = b"PK\x01\x02"
END = struct.Struct("<4s4H2LH")  # PK 5 6, two disk numbers, members here and in all, size, offset, comment
END64 = struct.Struct("<4sQ2H2L4Q")  # PK 6 6, ..., members here and in all, size, offset
LOCATOR_BYTES = 20  # of the record between the two
ERRORS = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
    struct.error,
    OverflowError,
)
UNIX = (3, 19)  # the systems, as "version made by" numbers them, whose zips have modes: 19 is macOS
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def of_zip(path: Path, budget: Budget) -> Tree:
    """Read a zip's tree. Raises UnreadableError for a damaged zip, LimitReached for one with too many members."""
    stream = open_regular(path, str(path))
    try:
        _check_listing(stream)
        archive = zipfile.ZipFile(stream)
    except ERRORS as error:
        raise UnreadableError(str(path), f"not a sound zip: {error}") from error
    entries: dict[str, zipfile.ZipInfo] = {}
    tree = Tree(budget, "/opt", lambda name, limit: _read(archive, entries, name, limit))
    listed = archive.filelist
    archive.NameToInfo.clear()
    listed.reverse()
    while listed:  # each record of zipfile's goes as its node comes: together they would be too large
        _add(tree, archive, listed.pop(), entries)
    return tree


def _check_listing(stream: BinaryIO) -> None:
    """Count the members before zipfile reads them all, at ten times the size, into memory."""
    size = stream.seek(0, 2)
    tail_at = stream.seek(max(0, size - END.size - 0xFFFF))
    tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < END.size:
        raise zipfile.BadZipFile("its end is missing")
    listing_end = tail_at + at
    listing = END.unpack_from(tail, at)[5]
    before = listing_end - LOCATOR_BYTES - END64.size
    if before >= 0:
        stream.seek(before)
        record = stream.read(END64.size)
        if record.startswith(b"PK\x06\x06"):
            listing, listing_end = END64.unpack(record)[8], before
    if listing > listing_end:
        raise zipfile.BadZipFile("its listing is larger than the file")
    if listing > MAX_LISTING:
        raise LimitReached(f"its listing is larger than {MAX_LISTING:,} bytes")
    stream.seek(listing_end - listing)
    if stream.read(listing).count(MEMBER) > MAX_MEMBERS:
        raise LimitReached(f"it has more than {MAX_MEMBERS:,} members")
    stream.seek(0)


def _add(tree: Tree, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, entries: dict[str, zipfile.ZipInfo]) -> None:
    folder = entry.filename.endswith("/")
    # Windows has no modes: what unpacks a zip that was made there, as Lambda does, gives it those of its own.
    mode = entry.external_attr >> 16 if entry.create_system in UNIX else 0o755 if folder else 0o644
    link = None
    if stat.S_ISLNK(mode):
        try:
            link = _inflate(archive, entry, MAX_NAME).decode("utf-8", "surrogateescape")
        except UnreadableError as error:
            tree.problem(Finding("unreadable", entry.filename, f"a link: {error.reason}"))
            return
    node = Node(entry.file_size, stat.S_IMODE(mode), link, folder)
    tree.add(entry.filename, node)
    if link is None and wanted(entry.filename, entry.file_size):
        entries["/".join(part for part in entry.filename.split("/") if part not in ("", "."))] = entry


def _read(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str, limit: int) -> bytes:
    if name not in entries:
        raise UnreadableError(name, "it is larger than such a file has reason to be")
    return _inflate(archive, entries[name], limit)


def _inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    """Read at most one byte more than `limit`. Raises UnreadableError."""
    if entry.compress_type not in METHODS:
        raise UnreadableError(entry.filename, f"compressed by method {entry.compress_type}, which is not read here")
    if entry.file_size > limit:
        raise UnreadableError(entry.filename, f"it says that it has {entry.file_size:,} bytes")
    try:
        with archive.open(entry) as stream:
            return stream.read(limit + 1)
    except ERRORS as error:
        raise UnreadableError(entry.filename, str(error) or type(error).__name__) from error
