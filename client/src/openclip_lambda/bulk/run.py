"""One run: every input is sent, a bad one costs itself alone, and what was computed is written whatever happens."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from openclip_lambda.bulk.inputs import Inputs, Prepared, Source, batches
from openclip_lambda.bulk.outputs import Identity, Output
from openclip_lambda.bulk.terminal import say
from openclip_lambda.errors import InputError, OutputError, ResponseError
from openclip_lambda.responses import Result

# The items of a request to a result for each. Raises ResponseError.
Ask = Callable[[list[dict[str, Any]]], list[Result]]

ITEM = re.compile(r"(?:\$\.)?input(?:\[|\.)(\d{1,9})\b")  # what an error calls an item: input[3], input[3].image
MAX_CRASHES = 3  # items in a row that end in a fault of the API: then it is not the items


def survey(inputs: Inputs, taken: set[Identity]) -> int:
    """Count the inputs. Raises InputError where there is none, OutputError where one of them would be replaced."""
    count = 0
    for source in inputs:
        count += 1
        if source.path is not None and taken:
            try:
                found = os.stat(source.path)  # noqa: PTH116 - paths stay strings
            except (OSError, ValueError):
                continue  # told when it is read
            if (found.st_dev, found.st_ino) in taken:
                raise OutputError(f"--output would replace the input {source.name}: give it another name")
    if not count:
        raise InputError("nothing to send: name files, directories or s3:// objects, or give --text")
    return count


@dataclass
class Run:
    """Sends inputs and writes the rows of their results; counts what it did."""

    ask: Ask
    output: Output
    total: int
    skipped: int = 0
    crashes: int = 0

    @property
    def done(self) -> int:
        """How many rows are written."""
        return self.output.count

    def go(self, inputs: Inputs, size: int) -> None:
        """Send everything, `size` items a request. Raises ClientError where the run cannot go on."""
        with tqdm(total=self.total, unit="item", disable=self.total <= size or None) as bar:
            for batch in batches(inputs, size, self._skip):
                for prepared, results in self._send(batch):
                    self._write(prepared, results)
                bar.update(self.done + self.skipped - bar.n)

    def _send(self, batch: list[Prepared], again: bool = False) -> Iterator[tuple[list[Prepared], list[Result]]]:
        """Send a batch, in parts where the API refuses it: an item is skipped only if it is refused alone.

        The item that a refusal names is sent alone, since company may have made it too much. After a second refusal
        what stands before and after it is halved, so a batch in which all items are bad is transferred about log2 of
        its size times, and not once for each of them.
        """
        try:
            results = self.ask([item for _, item in batch])
        except ResponseError as error:
            place = _place(error, len(batch))
            if place is None and not _can_be_split(error):
                raise
            if len(batch) == 1:
                self._blame(batch[0][0], error)
                return
            if place is None:
                parts = _halves(batch)
            else:
                before, named, after = batch[:place], batch[place : place + 1], batch[place + 1 :]
                parts = [*_halves(before), named, *_halves(after)] if again else [before, named, after]
            for part in filter(None, parts):
                yield from self._send(part, again=True)
            return
        self.crashes = 0
        yield batch, results

    def _blame(self, source: Source, error: ResponseError) -> None:
        self._skip(source, error.reason)
        self.crashes = self.crashes + 1 if error.status >= 500 else 0
        if self.crashes == MAX_CRASHES:
            raise error

    def _skip(self, source: Source, reason: str) -> None:
        self.skipped += 1
        name = source.name if source.text is None or len(source.name) <= 60 else f"{source.name[:57]}..."
        say(f"skipped {name}: {reason}")

    def _write(self, prepared: Sequence[Prepared], results: Sequence[Result]) -> None:
        rows = []
        for (source, _), result in zip(prepared, results, strict=True):
            if isinstance(result, InputError):
                self._skip(source, str(result))
            else:
                rows.append({"name": source.name, **result})
        if rows:
            self.output.append(rows, self.total)


def _place(error: ResponseError, count: int) -> int | None:
    """Return which item of the request the API names, if one."""
    found = ITEM.match(error.param or "")
    return place if found and (place := int(found[1])) < count else None


def _can_be_split(error: ResponseError) -> bool:
    """Say whether fewer items may do: too much at once, or a fault that one of them may have caused."""
    too_much = error.status == 413 or (error.code or "").endswith(("_too_large", "_too_complex", "internal_error"))
    return error.param == "input" or (error.param is None and too_much)


def _halves(batch: list[Prepared]) -> list[list[Prepared]]:
    middle = (len(batch) + 1) // 2
    return [batch[:middle], batch[middle:]]
