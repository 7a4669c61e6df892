"""Find in a log the messages with which OpenCLIP fails in Lambda, each in linear time."""

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

# Compiled parts of packages: Python does not find one that is of another version, system or processor.
COMPILED = (
    *("pydantic_core._pydantic_core", "numpy.core._multiarray_umath", "numpy._core._multiarray_umath", "torch._C"),
    *("tokenizers.tokenizers", "safetensors._safetensors_rust", "regex._regex", "PIL._imaging", "sentencepiece._s"),
    *("onnxruntime.capi.onnxruntime_pybind11_state", "hf_xet.hf_xet", "rpds.rpds"),
)

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
    ("hub-asked", "offline mode is enabled", ""),
    ("trees-left", "IncompleteSnapshotError", ""),
    ("shared-memory-needed", "Errno 38] Function not implemented", ""),
    ("shared-memory-needed", "SemLock", ""),
    ("shared-memory-needed", "Can't open SHM2", ""),
    ("cache-in-roots-home", "Errno 13] Permission denied: '/root/", ""),
    ("home-not-writable", "Errno 13] Permission denied: '/home/sbx", ""),
    ("not-readable", "Errno 13] Permission denied", ""),
    ("tmp-full", "Errno 28] No space left on device", ""),
    ("torchvision-of-another-torch", "torchvision::nms does not exist", ""),
    ("image-with-attestations", "image manifest, config or layer media type for the source image", ""),
    ("over-250-mb", "Unzipped size must be smaller than", ""),
    ("timed-out", "Task timed out", ""),
    ("timed-out", "Status: timeout", ""),
    ("timed-out", '"status":"timeout"', ""),
    ("out-of-memory", "Runtime exited with error: signal: killed", ""),
    ("out-of-memory", "Runtime.OutOfMemory", ""),
    ("weights-missing", "Required pretrained weights", ""),
    ("weights-missing", "odel initialized randomly", ""),
    ("weights-missing", "Failed to download file (", ""),
    ("weights-missing", "Failed to download weights for tag", ""),
    ("weights-missing", "Could not find/download default weights", ""),
    ("lfs-pointer", "Error while deserializing", "header too large"),
    ("lfs-pointer", "Error while deserializing", "HeaderTooLarge"),  # safetensors before 0.6
    ("lfs-pointer", "invalid load key, 'v'", ""),  # a pointer begins with "version"
    ("lfs-pointer", "Unsupported operand 118", ""),
    ("incomplete-download", "Error while deserializing", "file not fully covered"),
    ("incomplete-download", "Error while deserializing", "MetadataIncompleteBuffer"),
    ("incomplete-download", "Error while deserializing", "invalid header length"),
    ("incomplete-download", "PytorchStreamReader failed reading zip archive", ""),
    ("config-missing", "Can't load the configuration of", ""),
    ("tokenizer-missing", "Can't load tokenizer for", ""),
    ("tokenizer-of-no-model", "returning default SimpleTokenizer", ""),
    ("picture-not-decoded", "cannot identify image file", ""),
    ("built-for-another-platform", "version `GLIBC_", ""),
    ("built-for-another-platform", "invalid ELF header", ""),
    ("built-for-another-platform", "wrong ELF class", ""),
    ("built-for-another-platform", "exec format error", ""),
    ("built-for-another-platform", "cannot import name '_imaging' from 'PIL'", ""),
    ("built-for-another-platform", "import numpy from its source directory", ""),
    ("built-for-another-platform", "Importing the numpy C-extensions failed", ""),
    *(("built-for-another-platform", f"No module named '{module}", "") for module in COMPILED),
    ("module-missing", "Error: ", "cannot open shared object file"),
    ("module-missing", "Runtime.ImportModuleError", ""),
    ("module-missing", "No module named", ""),
    ("died", "Internal Server Error", ""),
    ("died", "Runtime exited", ""),
)
# A message that has several causes, and the codes whose messages, in the same line, tell which one it was.
TOLD_BY = {
    "died": ("out-of-memory", "built-for-another-platform"),
    "module-missing": ("built-for-another-platform",),
    "not-readable": ("cache-in-roots-home", "home-not-writable"),
}
MESSAGES = tuple((code, first.encode(), then.encode()) for code, first, then in SYMPTOMS)
CAUSES = {
    code: tuple(first for other, first, then in MESSAGES if other in others and not then)
    for code, others in TOLD_BY.items()
}


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
            if code not in seen and (message := _message(block, first, then, CAUSES.get(code, ()))):
                seen.add(code)
                shown = message[:SHOWN].decode("utf-8", "replace")
                yield Finding(code, where, printable(shown))


def _message(block: bytes, first: bytes, then: bytes, causes: Iterable[bytes]) -> bytes | None:
    """Return the part of a line from `first` to `then`, of a line that has none of `causes`.

    A block is passed a few times, however often each occurs.
    """
    at = 0
    while (begin := block.find(first, at)) >= 0:
        found = block.find(then, begin + len(first))
        if found < 0:
            return None
        if block.find(b"\n", begin, found) >= 0:
            at = block.rfind(b"\n", begin, found) + 1  # no line between has both
            continue
        end = block.find(b"\n", found)
        line = block[block.rfind(b"\n", 0, begin) + 1 : end if end >= 0 else len(block)]
        if not any(cause in line for cause in causes):
            return block[begin : found + len(then)]
        at = end if end >= 0 else len(block)
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
