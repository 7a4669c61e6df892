"""The rows that a batch works on: what a plan file names, what was embedded of it, what could not be."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from numpy.typing import NDArray

# Of keys that people take for images, too, and that a bundle does not decode, or only where it names the format.
OTHER_ENDINGS = (
    *(".heic", ".heif", ".hif", ".avif", ".tif", ".tiff", ".jxl", ".jp2", ".j2k", ".jpx", ".svg", ".psd", ".ico"),
    *(".tga", ".exr", ".hdr", ".qoi", ".dds"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
)

# Of an object that could not be looked at, or failed in the deployment's own code: an image may be there, and the
# vector that it had before stays.
DENIED, ARCHIVED, AWAY, ENDED = "object_not_readable", "object_archived", "s3_unavailable", "worker_ended"
UNKNOWN = (DENIED, ARCHIVED, AWAY, ENDED, "extension_failed")
MOST_NUMBER = 2**63 - 1  # of Parquet's int64


def endings(image_formats: Iterable[str]) -> tuple[str, ...]:
    """Return the endings of keys that are taken for images where a bundle decodes these formats besides its own."""
    from handler.imaging.added_formats import ADDED  # late: an index needs rows and no decoder
    from handler.imaging.decode import FORMATS

    own = [known.suffixes for known in FORMATS.values()]
    added = [ADDED[name].suffixes for name in image_formats if name in ADDED]
    return tuple(ending for suffixes in (*own, *added) for ending in suffixes)


def not_decoded(key: str) -> str | None:
    """Return the ending of a key that people take for an image, and that `endings` does not have; None for others."""
    return next((ending for ending in OTHER_ENDINGS if key.lower().endswith(ending)), None)


class Row(NamedTuple):
    """One image to embed. Of a folder, `bucket` is empty and `key` is the path below the folder.

    `size` is in bytes, as it was listed; the object may have been replaced since. 0 is also that nobody said it.
    `seen_at` is when S3 was asked about it, in milliseconds since 1970: of several rows of a key the latest counts.
    """

    bucket: str
    key: str
    size: int
    seen_at: int


class Embedded(NamedTuple):
    """An image with its vector, float32 [D] of unit length, or int8 where a file is to have that.

    `etag`, `size` and `modified` are of the bytes read.
    """

    row: Row
    etag: str
    size: int
    modified: int  # milliseconds since 1970
    width: int
    height: int
    vector: NDArray[Any]


class Failed(NamedTuple):
    """An image that has no vector, with the API's error code and message."""

    row: Row
    code: str
    message: str


def read_plan(data: bytes) -> list[Row]:
    """Read a plan file: JSON objects with bucket, key, size and seen_at, one a line. Raises ValueError."""
    return [Row(*_read_line(number, line, "size", "seen_at")) for number, line in enumerate(data.splitlines(), 1)]


def read_about(text: bytes | None) -> dict[str, Any]:
    """Read a file's metadata of its vectors. Raises ValueError where it lacks model, manifest_sha256 or settings."""
    try:
        about = json.loads(text or b"null")
    except (ValueError, RecursionError):
        about = None
    kinds = {"model": str, "manifest_sha256": str, "settings": dict}
    if not isinstance(about, dict) or not all(isinstance(about.get(name), kind) for name, kind in kinds.items()):
        raise ValueError("its metadata does not say what the vectors are of")
    return about


def read_deletions(data: bytes) -> list[tuple[str, str, int]]:
    """Read a list of what is gone: bucket, key and seen_at. Raises ValueError."""
    return [_read_line(number, line, "seen_at") for number, line in enumerate(data.splitlines(), 1)]


def _read_line(number: int, line: bytes, *numbers: str) -> Any:
    """Return bucket, key and these numbers. Raises ValueError, also for what no file of results can hold."""
    try:
        fields = json.loads(line)
        texts, found = [str(fields[name]) for name in ("bucket", "key")], [int(fields[name]) for name in numbers]
        "".join(texts).encode()
        if any(abs(one) > MOST_NUMBER for one in found):
            raise ValueError("a number of more than 64 bits")
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        names = f"bucket, key{''.join(f', {name}' for name in numbers[:-1])} and {numbers[-1]}"
        raise ValueError(f"line {number}: not {names} ({error!r})") from error
    return *texts, *found


def unusable(name: str) -> str:
    """Say what to do with a file of vectors or deletions that cannot be taken.

    To remove it is no advice: a list of deletions that is damaged keeps images out of an index, and can be restored.
    """
    return f"no batch wrote it, or it is damaged: move it out of {name.partition('/')[0]}/, or restore it"


def deletion_lines(gone: Iterable[tuple[str, str, int]]) -> bytes:
    """Write what is gone: bucket, key and seen_at a line."""
    return json_lines({"bucket": bucket, "key": key, "seen_at": seen_at} for bucket, key, seen_at in gone)


def without_image(failed: "Iterable[Failed]") -> "list[Failed]":
    """Return those of which it is known that their object is gone, or is no image any more."""
    return [item for item in failed if item.code not in UNKNOWN]


def json_lines(objects: Iterable[dict[str, Any]]) -> bytes:
    """Write objects a line each, in one form, so that the same rows give the same bytes."""
    return "".join(json.dumps(item, ensure_ascii=False, sort_keys=True) + "\n" for item in objects).encode()


def error_lines(failed: Iterable[Failed]) -> bytes:
    """Write what could not be embedded: bucket, key, code and message a line."""
    return json_lines(
        {"bucket": item.row.bucket, "key": item.row.key, "code": item.code, "message": item.message} for item in failed
    )
