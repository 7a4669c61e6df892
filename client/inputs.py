"""What is to be embedded: texts, pictures on disk, pictures in S3; in batches that one request can carry."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.errors import InputError

MAX_BYTES = 4_000_000  # of a batch in base64: Lambda takes 6 MB, and wraps the request in an event first
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Source:
    """One thing to embed, by the name under which its result is written."""

    name: str
    text: str | None = None
    path: Path | None = None  # neither: `name` is an s3:// reference

    def item(self) -> dict[str, str]:
        """Read it, as an item of a request. Raises InputError for a file that cannot be read."""
        if self.text is not None:
            return {"text": self.text}
        if self.path is None:
            return {"image": self.name}
        try:
            return {"image": base64.b64encode(self.path.read_bytes()).decode("ascii")}
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}") from error


def sources(names: Iterable[str], texts: Iterable[str]) -> list[Source]:
    """Turn arguments into sources: a directory stands for the pictures in it, at any depth. Raises InputError."""
    found = [Source(text, text=text) for text in texts]
    for name in names:
        if name.startswith("s3://"):
            found.append(Source(name))
        elif (directory := Path(name)).is_dir():
            inside = [path for path in sorted(directory.rglob("*")) if path.suffix.lower() in SUFFIXES]
            if not inside:
                raise InputError(f"{name} has no picture in it: one ends in {', '.join(SUFFIXES)}")
            found.extend(Source(str(path), path=path) for path in inside)
        else:
            found.append(Source(name, path=directory))
    if not found:
        raise InputError("nothing to send: name files, directories or s3:// objects, or give --text")
    return found


def batches(found: Iterable[Source], size: int) -> Iterator[tuple[list[Source], list[dict[str, Any]]]]:
    """Group sources into requests of at most `size` items and of what Lambda takes; files are read as they come.

    Raises InputError for a picture that is too large for any request.
    """
    batch: list[Source] = []
    items: list[dict[str, Any]] = []
    total = 0
    for source in found:
        item = source.item()
        length = sum(len(value) for value in item.values())
        if length > MAX_BYTES:
            raise InputError(
                f"{source.name} has {length:,} bytes in base64, a request holds {MAX_BYTES:,}: scale it down, or put "
                "it in a bucket of the stack's allowed_buckets and name it as s3://bucket/key"
            )
        if batch and (len(batch) == size or total + length > MAX_BYTES):
            yield batch, items
            batch, items, total = [], [], 0
        batch.append(source)
        items.append(item)
        total += length
    if batch:
        yield batch, items
