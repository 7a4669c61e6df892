"""The inputs of a run: texts, images on disk and images in S3, in batches that fit into one request."""

import base64
import codecs
import glob
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from openclip_lambda.bulk import files, patterns
from openclip_lambda.errors import InputError
from openclip_lambda.exchange import MAX_JSON_BYTES
from openclip_lambda.images import Scaling, prepared

MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
LIST = "-"  # the argument that stands for names on standard input


@dataclass(frozen=True)
class Source:
    """One thing to embed, by the name under which its result is written."""

    name: str
    text: str | None = None
    path: str | None = None  # neither: `name` is an s3:// reference
    problem: str = ""  # why it cannot be sent, if that is already known

    def read(self) -> bytes:
        """Return the text or the file as bytes, unchanged. Raises InputError with the reason if it cannot be sent."""
        if self.problem:
            raise InputError(self.problem)
        if self.path is not None:
            return files.read_image(self.path)
        return (self.name if self.text is None else self.text).encode(errors="surrogatepass")

    def digest(self, data: bytes) -> bytes:
        """Return the sha256 of what `read` returned; an image's is that of its file."""
        kind = b"" if self.path is not None else b"s3\0" if self.text is None else b"text\0"
        return hashlib.sha256(kind + data).digest()

    def item(self, data: bytes, scaling: Scaling) -> dict[str, str]:
        """Return the item of a request, made of what `read` returned. Raises InputError as `read` does."""
        if self.text is not None:
            return {"text": self.text}
        if self.path is None:
            return {"image": self.name}
        return {"image": base64.b64encode(prepared(data, self.path, scaling)).decode("ascii")}


@dataclass(frozen=True)
class Prepared:
    """A source that was read. `item` is its form in a request, None if its result is already known."""

    source: Source
    digest: bytes  # sha256 of what was read
    length: int  # of the item as JSON
    item: dict[str, str] | None
    problem: InputError | None = None

    def without_item(self) -> "Prepared":
        """Return a copy without the item, which is large, and not needed after it was sent."""
        return replace(self, item=None)


class Reader:
    """Reads sources into items; several threads may use one.

    `known` returns the length of an item whose result is already known, by its digest; else None.
    """

    def __init__(self, scaling: Scaling, known: Callable[[bytes], int | None] = lambda digest: None) -> None:
        self._scaling, self._known = scaling, known

    def __call__(self, source: Source, afresh: bool = False) -> Prepared:
        """Read one source; an error becomes its `problem`. `afresh` prepares the item even if its result is known."""
        try:
            data = source.read()
            digest = source.digest(data)
            if not afresh and (length := self._known(digest)) is not None:
                return Prepared(source, digest, length, None)
            item = source.item(data, self._scaling)
            length = len(json.dumps(item))
            if length > MAX_JSON_BYTES:
                raise InputError(f"it has {length:,} bytes as JSON, a request carries {MAX_JSON_BYTES:,}: shorten it")
        except InputError as error:
            return Prepared(source, b"", 0, None, error)
        return Prepared(source, digest, length, item)


class Inputs:
    """The sources that arguments stand for. Each pass finds them anew: a million images need no list in memory.

    A directory stands for the images in it, at any depth; a name with `*` or `**` is a pattern if no file has that
    name; `-` is a list of names on standard input. `left_out` counts what the last pass did not look at.
    """

    def __init__(self, names: Sequence[str], texts: Sequence[str] = ()) -> None:
        self._names, self._texts = names, texts
        self.left_out: Counter[str] = Counter()
        self._listed: list[str] | None = None

    def __iter__(self) -> Iterator[Source]:
        self.left_out = Counter()
        for text in self._texts:
            yield Source(text, text=text)
        for name in self._names:
            if name == LIST:
                for listed in self._list():
                    yield from self._named(listed)
            else:
                yield from self._named(name)

    def _list(self) -> list[str]:
        if self._listed is None:
            data = _plain(sys.stdin.buffer.read() if sys.stdin else b"")
            names = data.split(b"\0") if b"\0" in data else data.splitlines()
            self._listed = [os.fsdecode(name) for name in names if name.strip()]
        return self._listed

    def _named(self, name: str) -> Iterator[Source]:
        if name.startswith("s3://"):
            yield Source(name)
        elif (problem := files.why_no_path(name)) and not os.path.lexists(name):
            yield Source(name, problem=problem)
        elif os.path.isdir(name):  # noqa: PTH112 - paths stay strings
            yield from self._inside(name)
        elif glob.has_magic(name) and not os.path.lexists(name):
            found = patterns.matches(name)
            for match in found:
                yield from [] if os.path.isdir(match) and "**" in name else self._named(match)  # noqa: PTH112
            if not found:
                yield Source(name, problem="no file matches this pattern")
        else:
            yield Source(name, path=name)

    def _inside(self, directory: str) -> Iterator[Source]:
        empty = True
        for path, problem in files.walk(directory, self.left_out):
            empty = False
            yield Source(path, path=path, problem=problem)
        if empty:
            yield Source(directory, problem="it is a directory without an image in it")


def _plain(data: bytes) -> bytes:
    """Return a list as UTF-8, by its byte order mark if it has one, as PowerShell and editors on Windows write it."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding).encode()
            except UnicodeError as error:
                told = f"the list on standard input is not {encoding.upper()} ({error})"
                raise InputError(f"{told}: save it as UTF-8") from error
    return data


def batches(
    found: Iterable[Prepared], size: int, skip: Callable[[Source, InputError], None]
) -> Iterator[list[Prepared]]:
    """Group what was read into requests of at most `size` items and MAX_JSON_BYTES; `skip` gets what cannot be sent."""
    batch: list[Prepared] = []
    total = 0
    for one in found:
        if one.problem:
            skip(one.source, one.problem)
            continue
        if batch and (len(batch) == size or total + one.length > MAX_JSON_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(one)
        total += one.length
    if batch:
        yield batch
