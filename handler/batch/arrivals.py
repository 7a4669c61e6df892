"""What changes in the source after a run: each event makes the worker look at the object as it is now.

Events come twice, late and out of order, so none is believed. An object that is there is embedded; one that is gone is
recorded as deleted; both with the time of the look. S3 is strongly consistent: of all records of a key, the one with
the latest look is right, whatever order they were written in.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from handler.batch.reader import TransientError, now
from handler.batch.rows import Embedded, Failed, Row, endings, error_lines, json_lines
from handler.batch.shard import Work

PARTITION = "arrivals"  # as `run=arrivals`: readers of a Hive layout stop at a directory that is no key=value
GONE = "object_not_found"


def run(records: Sequence[dict[str, Any]], work: Work) -> dict[str, Any]:
    """Take a batch of SQS messages, each one event of EventBridge; returns Lambda's `batchItemFailures`.

    A message that is no such event goes back, and to the dead-letter queue in the end.
    """
    rows: dict[tuple[str, str], Row] = {}
    unread, messages, taken = [], {}, endings(work.model.image_formats)
    for record in records:
        try:
            row = _row(json.loads(record["body"])["detail"])
        except (ValueError, KeyError, TypeError, AttributeError):
            unread.append(record["messageId"])
            continue
        messages[record["messageId"]] = row
        if row.key.lower().endswith(taken):
            rows[row.bucket, row.key] = row  # several events of one object in one batch: one look
    try:
        if rows:
            _store(work, *work.embed(list(rows.values()))[:2])
    except TransientError:
        unread += messages
    return {"batchItemFailures": [{"itemIdentifier": message} for message in unread]}


def _row(detail: dict[str, Any]) -> Row:
    """Read an event's detail (docs.aws.amazon.com: AmazonS3, "EventBridge event message structure")."""
    key = str(detail["object"]["key"])
    return Row(str(detail["bucket"]["name"]), key, int(detail["object"].get("size", 0)), now())


def _store(work: Work, embedded: list[Embedded], failed: list[Failed]) -> None:
    gone = [item.row for item in failed if item.code == GONE]
    broken = [item for item in failed if item.code != GONE]
    # Named by all rows, broken ones too, or two batches of broken images would have one name.
    every = sorted((row.bucket, row.key, row.seen_at) for row in [i.row for i in embedded] + [i.row for i in failed])
    name = hashlib.sha256(json.dumps(every).encode()).hexdigest()[:20]
    if broken:
        work.store.write(work.target("errors", PARTITION, name, "jsonl"), error_lines(broken))
    if lost := gone + [item.row for item in broken]:  # what was replaced by a broken image has no vector any more
        lines = json_lines({"bucket": row.bucket, "key": row.key, "seen_at": row.seen_at} for row in lost)
        work.store.write(work.target("deletions", PARTITION, name, "jsonl"), lines)
    if embedded:
        work.store.write_once(work.target("vectors", PARTITION, name, "parquet"), work.parquet(embedded))
