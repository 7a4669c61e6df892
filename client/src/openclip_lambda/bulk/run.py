"""A run of `embed` or `classify`: send every input, skip bad ones, and write what was computed, whatever happens."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tqdm import tqdm

from openclip_lambda.bulk.inputs import Inputs, Prepared, Reader, Source, batches
from openclip_lambda.bulk.journal import Journal, Key, Keys
from openclip_lambda.bulk.outputs import Identity, Output
from openclip_lambda.bulk.pool import Pool, ordered
from openclip_lambda.bulk.sending import Asked, Sender
from openclip_lambda.bulk.terminal import say
from openclip_lambda.errors import InputError, OutputError
from openclip_lambda.images import Scaling
from openclip_lambda.responses import Result, Results

MAX_NAMED = 100_000  # of what was skipped, kept for the report
Batch = list[tuple[Prepared, Key]]


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


class Run:
    """Sends inputs, several requests at once, and writes the rows of their results in the order of the inputs.

    `skipped` counts what has no result, `why` by kind of reason, `named` lists the first of them.
    """

    def __init__(
        self,
        ask: Callable[[list[Any]], list[Result]],
        results: Results,
        output: Output,
        total: int,
        journal: Journal | None,
    ) -> None:
        self._sender, self._results, self._output = Sender(ask), results, output
        self.total, self._journal, self._keys = total, journal, Keys()
        self.skipped = 0
        self.why: Counter[str] = Counter()
        self.named: list[dict[str, str]] = []

    @property
    def done(self) -> int:
        """How many rows are written."""
        return self._output.count

    def go(self, inputs: Iterable[Source], size: int, jobs: int, scaling: Scaling) -> None:
        """Send everything, `size` items a request and `jobs` requests at once.

        Two requests more are in memory, and twice as many inputs are read ahead. Raises ClientError where the
        run cannot go on.
        """
        senders, readers = (Pool(jobs), Pool(jobs)) if jobs > 1 else (None, None)
        reader = Reader(scaling, self._journal.length) if self._journal else Reader(scaling)
        try:
            with tqdm(total=self.total, unit="item", disable=self.total <= size or None) as bar:
                read = ordered(readers, reader, inputs, 2 * jobs)
                asked = (self._with_keys(batch, reader) for batch in batches(read, size, self._skip))
                for answered, error in ordered(senders, self._answer, asked, jobs + 2, first_alone=True):
                    self._write(answered)
                    bar.update(self.done + self.skipped - bar.n)
                    if error:
                        raise error
        finally:
            for pool in filter(None, (senders, readers)):
                pool.stop()

    def _with_keys(self, batch: list[Prepared], reader: Reader) -> Batch:
        """Number equal contents, and read an item again if its result turned out not to be known."""
        if self._journal is None:
            return [(one, b"") for one in batch]
        keyed: Batch = []
        for one in batch:
            key = self._keys.of(one.digest)
            if one.item is None and not self._journal.knows(key):
                again = reader(one.source, afresh=True)
                if again.problem:  # it is gone since, or is no image any more
                    self._skip(again.source, again.problem)
                    continue
                one, key = again, key if again.digest == one.digest else self._keys.of(again.digest)
            keyed.append((one, key))
        return keyed

    def _answer(self, batch: Batch) -> Asked:
        """Return a result for each input, from the journal or from the API; called in several threads."""
        journal = self._journal
        known = {place for place, (_, key) in enumerate(batch) if journal and journal.knows(key)}
        to_send = [one for place, (one, _) in enumerate(batch) if place not in known]
        sent, error = self._sender.send(to_send) if to_send else ([], None)
        if journal and not error and sent:
            keys = [key for place, (_, key) in enumerate(batch) if place not in known]
            rows = [(one, key, result) for (one, result), key in zip(sent, keys, strict=True) if _lasts(result)]
            journal.add(rows, self._results.model, self._results.manifest)
        if not journal or not known:
            return sent, error
        fresh = iter(sent)
        answered = []
        for place, (one, key) in enumerate(batch):
            if place in known:
                answered.append((one, journal.result(key)))
            elif (pair := next(fresh, None)) is not None:
                answered.append(pair)
        return answered, error

    def _skip(self, source: Source, problem: InputError) -> None:
        self.skipped += 1
        self.why[problem.kind] += 1
        if len(self.named) < MAX_NAMED:
            self.named.append({"name": source.name, "reason": str(problem)})
        name = source.name if source.text is None or len(source.name) <= 60 else f"{source.name[:57]}..."
        say(f"skipped {name}: {problem}")

    def _write(self, answered: Sequence[tuple[Prepared, Result]]) -> None:
        rows = []
        for one, result in answered:
            if isinstance(result, InputError):
                self._skip(one.source, result)
            else:
                rows.append({"name": one.source.name, **self._facts(one, result), **result})
        if rows:
            self._output.append(rows, self.total)

    def _facts(self, one: Prepared, result: Result) -> dict[str, Any]:
        """Return the other fields of a row. Only rows of embeddings have them: `search` reads these again."""
        if isinstance(result, InputError) or "embedding" not in result:
            return {}
        sha256 = one.digest.hex() if one.source.path is not None else None
        return {"sha256": sha256, "model": self._results.model, "manifest_sha256": self._results.manifest}


def _lasts(result: Result) -> bool:
    return not (isinstance(result, InputError) and result.may_pass)
