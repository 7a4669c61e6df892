"""What is to be embedded: texts, images on disk, images in S3; in batches that one request can carry."""

import base64
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from openclip_lambda.bulk import files
from openclip_lambda.errors import InputError

MAX_BYTES = 4_000_000  # of a batch as JSON: Lambda takes 6 MB, and wraps the request in an event first
MAX_FILE_BYTES = MAX_BYTES // 4 * 3 - 100  # of an image before base64

Skip = Callable[["Source", str], None]  # what is told of a source that cannot be sent, with the reason


@dataclass(frozen=True)
class Source:
    """One thing to embed, by the name under which its result is written."""

    name: str
    text: str | None = None
    path: str | None = None  # neither: `name` is an s3:// reference
    problem: str = ""  # why it cannot be sent, where that is known already

    def item(self) -> dict[str, str]:
        """Read it, as an item of a request. Raises InputError with the reason why it cannot be sent."""
        if self.problem:
            raise InputError(self.problem)
        if self.text is not None:
            return {"text": self.text}
        if self.path is None:
            return {"image": self.name}
        return {"image": base64.b64encode(files.read_image(self.path, MAX_FILE_BYTES)).decode("ascii")}


class Inputs:
    """The sources that arguments stand for, found anew at each pass: a directory of a million images is no list.

    A directory stands for the images in it, at any depth. `left_out` counts what the last pass did not look at.
    """

    def __init__(self, names: Sequence[str], texts: Sequence[str] = ()) -> None:
        self._names, self._texts = names, texts
        self.left_out: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Source]:
        self.left_out = Counter()
        for text in self._texts:
            yield Source(text, text=text)
        for name in self._names:
            if name.startswith("s3://"):
                yield Source(name)
            elif name.lower().startswith(("http://", "https://")):
                yield Source(name, problem="addresses are not fetched: download it, and name the file")
            elif os.path.isdir(name):  # noqa: PTH112 - paths stay strings
                yield from self._inside(name)
            else:
                yield Source(name, path=name)

    def _inside(self, directory: str) -> Iterator[Source]:
        empty = True
        for path, problem in files.walk(directory, self.left_out):
            empty = False
            yield Source(path, path=path, problem=problem)
        if empty:
            yield Source(directory, problem="it is a directory without an image in it")


Prepared = tuple[Source, dict[str, Any]]  # a source, and it as an item of a request


def batches(found: Iterable[Source], size: int, skip: Skip) -> Iterator[list[Prepared]]:
    """Group sources into requests of at most `size` items and of what Lambda takes; files are read as they come."""
    batch: list[Prepared] = []
    total = 0
    for source in found:
        try:
            item = source.item()
            length = len(json.dumps(item))
            if length > MAX_BYTES:
                raise InputError(f"it has {length:,} bytes as JSON, a request carries {MAX_BYTES:,}: shorten it")
        except InputError as error:
            skip(source, str(error))
            continue
        if batch and (len(batch) == size or total + length > MAX_BYTES):
            yield batch
            batch, total = [], 0
        batch.append((source, item))
        total += length
    if batch:
        yield batch
