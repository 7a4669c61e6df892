"""Follow changes in the source after a run: for each event the worker looks at the object as it is now.

Events come twice, late and out of order, so none is believed. An object that is there is embedded; one that is gone is
recorded as deleted; both with the time of the look. S3 is strongly consistent: of all records of a key, the one with
the latest look is right, whatever order they were written in. Of an object that S3 does not give, or at which the
deployment's own code fails, nothing is recorded: its event goes back, and to the dead-letter queue in the end. So does
the event of an image that kills its worker, whose other events come again: then each is embedded alone, beside a mark
that says which one is under way. An archived object has another event when it is restored.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from handler.batch.reader import OneByOne, now
from handler.batch.rows import (
    ARCHIVED,
    AWAY,
    ENDED,
    UNKNOWN,
    Embedded,
    Failed,
    Row,
    deletion_lines,
    endings,
    error_lines,
    json_lines,
    without_image,
)
from handler.batch.shard import Work

PARTITION = "arrivals"  # as `run=arrivals`: readers of a Hive layout stop at a directory that is no key=value
GONE = "object_not_found"
HELD = set(UNKNOWN) - {ARCHIVED}  # whose events go back

Key = tuple[str, str]


def run(records: Sequence[dict[str, Any]], work: Work) -> dict[str, Any]:
    """Take a batch of SQS messages, each one event of EventBridge; returns Lambda's `batchItemFailures`.

    A message that is no such event goes back, as does one of an object that nothing can be said of, and to the
    dead-letter queue in the end.
    """
    rows: dict[Key, Row] = {}
    again: dict[Key, Row] = {}  # those of them that a worker was given before
    unread, messages, taken = [], {}, endings(work.model.image_formats)
    for record in records:
        try:
            row = _row(json.loads(record["body"])["detail"])
        except (ValueError, KeyError, TypeError, AttributeError):
            unread.append(record["messageId"])
            continue
        messages[record["messageId"]] = row.bucket, row.key
        if row.key.lower().endswith(taken):
            rows[row.bucket, row.key] = row  # several events of one object in one batch: one look
            if _received(record) > 1:
                again[row.bucket, row.key] = row
    if rows:
        work = work._replace(reader=OneByOne(work.reader))
        held = set[Key]()
        if new := [row for key, row in rows.items() if key not in again]:
            held = _store(work, *work.embed(new)[:2])
        if again:
            marks = {message: key for message, key in messages.items() if key in again}
            held |= _store(work, *_alone(work, again, marks))
        unread += [message for message, key in messages.items() if key in held]
    return {"batchItemFailures": [{"itemIdentifier": message} for message in unread]}


def _received(record: Mapping[str, Any]) -> int:
    """Tell how often a message was received, this time included (Amazon SQS, ReceiveMessage)."""
    return int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))


def _alone(work: Work, rows: Mapping[Key, Row], messages: Mapping[str, Key]) -> tuple[list[Embedded], list[Failed]]:
    """Embed the rows one by one, without those at which a worker ended before.

    Each message of a row has a mark: the next time they may come in other batches.
    """
    embedded, failed = list[Embedded](), list[Failed]()
    for key, row in rows.items():
        ours = [message for message, of in messages.items() if of == key]
        marks = [work.target("parts", PARTITION, _name([(message,)]), "json") for message in ours]
        if any(work.store.exists(mark) for mark in marks):
            why = "it breaks a decoder, or needs more memory than the worker has"
            failed.append(Failed(row, ENDED, f"{row.key} ended the worker that embedded it alone: {why}"))
            _remove(work, marks)
            continue
        for mark in marks:
            work.store.write(mark, json_lines([{"bucket": row.bucket, "key": row.key}]))
        try:
            one, none, _ = work.embed([row])
        finally:  # which a worker that is killed does not come to
            _remove(work, marks)
        embedded, failed = embedded + one, failed + none
    return embedded, failed


def _remove(work: Work, marks: Iterable[str]) -> None:
    for mark in marks:
        work.store.remove(mark)


def _row(detail: dict[str, Any]) -> Row:
    """Read an event's detail (AWS: AmazonS3, "EventBridge event message structure"). Raises ValueError and others."""
    key = str(detail["object"]["key"])
    key.encode()  # half a surrogate pair, which no key of S3 has, cannot be asked for
    return Row(str(detail["bucket"]["name"]), key, int(detail["object"].get("size", 0)), now())


def _store(work: Work, embedded: list[Embedded], failed: list[Failed]) -> set[Key]:
    """Write what the looks have found; returns the keys of the objects whose events go back."""
    held = [item for item in failed if item.code in HELD]
    listed = [item for item in failed if item.code in UNKNOWN and item.code != AWAY]
    failed = without_image(failed)
    broken = [item for item in failed if item.code != GONE]
    # Named by all rows, broken ones too, or two batches of broken images would have one name.
    every = [item.row for item in embedded] + [item.row for item in failed]
    name = _name((row.bucket, row.key, row.seen_at) for row in every)
    if listed:  # named without the look: they are tried again
        again = _name((item.row.bucket, item.row.key) for item in listed)
        work.store.write(work.target("errors", PARTITION, again, "jsonl"), error_lines(listed))
    if broken:
        work.store.write(work.target("errors", PARTITION, name, "jsonl"), error_lines(broken))
    if failed:  # what was replaced by a broken image has no vector any more
        lines = deletion_lines((row.bucket, row.key, row.seen_at) for row, _, _ in failed)
        work.store.write(work.target("deletions", PARTITION, name, "jsonl"), lines)
    if embedded:
        work.store.write_once(work.target("vectors", PARTITION, name, "parquet"), work.parquet(embedded))
    return {(item.row.bucket, item.row.key) for item in held}


def _name(facts: Iterable[tuple[Any, ...]]) -> str:
    return hashlib.sha256(json.dumps(sorted(facts)).encode()).hexdigest()[:20]
