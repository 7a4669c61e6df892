"""What people paste: the messages by which OpenCLIP fails in Lambda, each found in linear time."""

import codecs
import gzip
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from layer.doctor.limits import Budget, LimitReached, UnreadableError
from layer.findings.finding import Finding
from layer.findings.printable import printable

BLOCK = 1_000_000  # bytes read at once; a longer line is looked at in parts
OVERLAP = 1000  # bytes that the next part of such a line begins with again
SHOWN = 160  # characters of the message
ERRORS = (OSError, EOFError, zlib.error)

# Each code, with the messages that mean it: two parts of one line, in this order (the second may be empty). They are
# looked for one after the other, for a regular expression with .* can cost the square of a line's length.
SYMPTOMS: tuple[tuple[str, str, str], ...] = (
    ("hub-asked-read-only-cache", "Read-only file system: ", ".locks"),
    ("hub-asked-read-only-cache", "Errno 30", "huggingface"),
    ("hub-asked-read-only-cache", "Errno 30", ".locks"),
    ("home-not-writable", "Errno 30] Read-only file system: '/home/sbx", ""),
    ("home-not-writable", "problem when trying to write in your cache folder", ""),
    ("home-not-writable", "Matplotlib created a temporary", ""),
    ("home-not-writable", "cannot cache function ", ": no locator available"),
    ("hub-asked", "couldn't connect to", ""),
    ("hub-asked", "Max retries exceeded", ""),
    ("hub-asked", "LocalEntryNotFoundError", ""),
    ("hub-asked", "not the path to a directory", ""),
    ("trees-left", "IncompleteSnapshotError", ""),
    ("shared-memory-needed", "Errno 38] Function not implemented", ""),
    ("shared-memory-needed", "SemLock", ""),
    ("shared-memory-needed", "Can't open SHM2", ""),
    ("not-readable", "Errno 13] Permission denied", ""),
    ("torchvision-of-another-torch", "torchvision::nms does not exist", ""),
    ("over-250-mb", "Unzipped size must be smaller than", ""),
    ("timed-out", "Task timed out", ""),
    ("weights-missing", "Required pretrained weights", ""),
    ("weights-missing", "odel initialized randomly", ""),
    ("weights-missing", "Failed to download file (", ""),
    ("tokenizer-of-no-model", "returning default SimpleTokenizer", ""),
    ("picture-not-decoded", "cannot identify image file", ""),
    ("module-missing", "Runtime.ImportModuleError", ""),
    ("module-missing", "No module named", ""),
    ("died", "Internal Server Error", ""),
    ("died", "Runtime exited", ""),
)
MESSAGES = tuple((code, first.encode(), then.encode()) for code, first, then in SYMPTOMS)


def symptoms(text: str, where: str) -> Iterator[Finding]:
    """Name the pitfalls whose messages stand in a text, each once, with the message."""
    yield from _findings([text.encode("utf-8", "replace")], where)


def log_symptoms(stream: BinaryIO, where: str, budget: Budget) -> Iterator[Finding]:
    """Name the pitfalls whose messages stand in a log, which may be compressed by gzip, or UTF-16."""
    try:
        yield from _findings(_blocks(stream, budget), where)
    except LimitReached as error:
        yield Finding("too-much-to-examine", where, str(error))
    except ERRORS as error:
        raise UnreadableError(where, str(error) or type(error).__name__) from error


def _findings(blocks: Iterable[bytes], where: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for block in blocks:
        for code, first, then in MESSAGES:
            if code not in seen and (message := _message(block, first, then)):
                seen.add(code)
                shown = message[:SHOWN].decode("utf-8", "replace")
                yield Finding(code, where, printable(shown))


def _message(block: bytes, first: bytes, then: bytes) -> bytes | None:
    """Return the part of a line from `first` to `then`; a block is passed a few times, however often each occurs."""
    at = 0
    while (begin := block.find(first, at)) >= 0:
        found = block.find(then, begin + len(first))
        if found < 0:
            return None
        if block.find(b"\n", begin, found) < 0:
            return block[begin : found + len(then)]
        at = block.rfind(b"\n", begin, found) + 1  # no line between has both
    return None


def _blocks(stream: BinaryIO, budget: Budget) -> Iterator[bytes]:
    """Yield a log in blocks of whole lines."""
    rest = b""
    for data in _decoded(stream):
        budget.check_time()
        data = rest + data
        cut = data.rfind(b"\n") + 1
        if cut == 0 and len(data) > BLOCK:
            yield data
            rest = data[-OVERLAP:]
        else:
            rest = data[cut:]
            if cut:
                yield data[:cut]
    yield rest


def _decoded(stream: BinaryIO) -> Iterator[bytes]:
    """Yield what a log holds, unpacked and as UTF-8."""
    magic = stream.peek(2)[:2] if hasattr(stream, "peek") else b""
    if magic == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=stream)  # type: ignore[assignment]
    if magic in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):  # PowerShell's > writes it
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
        while data := stream.read(BLOCK):
            yield decoder.decode(data).encode("utf-8", "replace")
        return
    while data := stream.read1(BLOCK):  # type: ignore[attr-defined]  # a pipe gives what it has
        yield data
