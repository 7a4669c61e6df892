"""The journal of a run that ended early, for `--resume`: results of complete requests, by the hash of their inputs."""

import base64
import contextlib
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openclip_lambda.bulk.file_lock import TakenError, open_locked
from openclip_lambda.bulk.inputs import Prepared
from openclip_lambda.errors import InputError, OutputError
from openclip_lambda.os_errors import reason
from openclip_lambda.responses import Result, to_vector

SCHEMA = 1
Key = bytes  # the digest of an input, and the number of earlier inputs with the same content, if any


def journal_path(output: Path) -> Path:
    """Return where the journal of an output is."""
    return output.with_name(f"{output.name}.resume")


class Journal:
    """A file of lines beside the output: first the arguments of the run, then a line for each complete request.

    It is removed when the run is complete. An unfinished line of a killed run is cut off. Several threads may add
    results. `model` and `manifest` are those of the results in it. Raises OutputError if there is a journal and
    `resume` is not given, if it is of other arguments, and if another run is writing to it.
    """

    def __init__(self, output: Path, asked: dict[str, Any], resume: bool, scratch: Sequence[str]) -> None:
        self.path = journal_path(output)
        self.model: Any = None
        self.manifest: str | None = None
        self._places: dict[Key, tuple[int, int]] = {}  # where the line begins, and which of its items
        self._lengths: dict[bytes, int] = {}
        self._lock = threading.Lock()
        self._line: tuple[int, Any] = (-1, None)  # the last that was read
        self._closed = False
        try:
            self._file, there = open_locked(self.path)
            try:
                self._begin(asked, resume, scratch, there)
            except BaseException:
                self._file.close()
                raise
        except TakenError as error:
            raise OutputError(
                f"another run writes to {output} now, and has {self.path}: wait for it, or give another --output"
            ) from error
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {reason(error)}") from error

    def _begin(self, asked: dict[str, Any], resume: bool, scratch: Sequence[str], there: bool) -> None:
        if there and not resume:
            raise OutputError(
                f"{self.path} holds results of a run that ended early: give --resume to go on from them, or remove it"
            )
        self._end = self._read(asked) if there else 0
        self._file.truncate(self._end)
        self._append({"openclip_lambda": SCHEMA, "asked": asked, "scratch": list(scratch)})

    @property
    def count(self) -> int:
        """How many inputs have a result in it."""
        return len(self._places)

    def length(self, digest: bytes) -> int | None:
        """Return the length, as JSON, of an input with this content; None if no earlier run has sent it."""
        return self._lengths.get(digest)

    def knows(self, key: Key) -> bool:
        """Say whether an input's result is in it."""
        return key in self._places

    def result(self, key: Key) -> Result:
        """Return the result of an input."""
        start, place = self._places[key]
        with self._lock:
            if self._line[0] != start:
                self._file.seek(start)
                self._line = start, json.loads(_line_at(self._file))
            return _unpacked(self._line[1]["items"][place][2])

    def add(self, rows: Sequence[tuple[Prepared, Key, Result]], model: Any, manifest: str | None) -> None:
        """Keep the results of one complete request. A full disk ends the journal, not the run."""
        items = [[key.hex(), one.length, _packed(result)] for one, key, result in rows]
        with self._lock:
            if self._closed:
                return
            try:
                start = self._append({"model": model, "manifest_sha256": manifest, "items": items})
            except OSError:
                self._closed = True
                with contextlib.suppress(OSError):
                    self._file.truncate(self._end)
                return
            for place, (_, key, _) in enumerate(rows):
                self._places[key] = start, place

    def close(self, complete: bool) -> None:
        """Close the journal. It is removed if the run is `complete`, or if it has no results."""
        remove = complete or not self._places
        with self._lock:
            self._closed = True
            if remove:
                with contextlib.suppress(OSError):
                    self.path.unlink()  # before it is closed: afterwards it may be another run's
            self._file.close()
        if remove and sys.platform == "win32":
            with contextlib.suppress(OSError):  # it is another run's
                self.path.unlink()  # Windows does not remove an open file

    def _append(self, value: Any) -> int:
        """Write one line at the end; return where it begins."""
        start = self._end
        self._file.seek(start)
        rest = memoryview(json.dumps(value).encode() + b"\n")
        while rest:
            rest = rest[self._file.write(rest) :]
        self._end = self._file.tell()
        return start

    def _read(self, asked: dict[str, Any]) -> int:
        """Index every complete line; return where they end."""
        end = 0
        self._file.seek(0)
        with os.fdopen(os.dup(self._file.fileno()), "rb") as lines:
            for number, line in enumerate(lines):
                try:
                    if not line.endswith(b"\n"):
                        break  # of a run that was killed
                    self._index(json.loads(line), end, asked, number)
                except (ValueError, KeyError, TypeError, IndexError) as error:
                    raise OutputError(f"{self.path} is no journal of this client: remove it, or rename it") from error
                end += len(line)
        return end

    def _index(self, value: dict[str, Any], start: int, asked: dict[str, Any], number: int) -> None:
        if "asked" in value:
            if value["openclip_lambda"] != SCHEMA or value["asked"] != asked:
                raise OutputError(
                    f"{self.path} is of a run that asked for something else ({json.dumps(value['asked'])[:200]}): give "
                    "the same arguments, or remove it"
                )
            for name in value["scratch"]:
                if os.path.basename(name) == name and name.startswith(".openclip-"):  # noqa: PTH119 - ours, and beside it
                    self.path.with_name(name).unlink(missing_ok=True)
            return
        if number == 0:
            raise ValueError("no header")
        self.model = self.model if value["model"] is None else value["model"]
        self.manifest = value["manifest_sha256"] or self.manifest
        for place, (key, length, _) in enumerate(value["items"]):
            self._places[bytes.fromhex(key)] = start, place
            self._lengths[bytes.fromhex(key)[:32]] = length


class Keys:
    """Numbers inputs of the same content, in the order of the inputs."""

    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()

    def of(self, digest: bytes) -> Key:
        """Return the key of the next input of this content."""
        number = self._counts[digest]
        self._counts[digest] += 1
        return digest + number.to_bytes(4, "big") if number else digest


def _line_at(file: Any) -> bytes:
    parts = []
    while part := file.read(1 << 16):
        before, newline, _ = part.partition(b"\n")
        parts.append(before)
        if newline:
            break
    return b"".join(parts)


def _packed(result: Result) -> Any:
    if isinstance(result, InputError):
        return {"skipped": str(result), "kind": result.kind}
    if "embedding" in result:
        return base64.b64encode(np.asarray(result["embedding"], "<f4").tobytes()).decode("ascii")
    return result


def _unpacked(value: Any) -> Result:
    if isinstance(value, str):
        return {"embedding": to_vector(value)}
    if "skipped" in value:
        return InputError(value["skipped"], value["kind"])
    result: Result = value
    return result
