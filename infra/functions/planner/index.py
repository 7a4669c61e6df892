"""The first state of a batch run: list the source's images into plan files of so many rows each.

Runs on Lambda's own Python runtime, which brings boto3. It stops before its own timeout, and goes on when it is called
again with what it returned: any number of objects can be listed. S3 lists a prefix page by page, some thousands of keys
a second: for 10^8 objects start runs that each have a part of the source.
"""

import json
import os
import re
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config

# As handler/imaging/decode.py and handler/batch/rows.py have them.
ENDINGS = (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".dib")
OTHER_ENDINGS = (
    *(".heic", ".heif", ".hif", ".avif", ".tif", ".tiff", ".jxl", ".jp2", ".j2k", ".jpx", ".svg", ".psd", ".ico"),
    *(".tga", ".exr", ".hdr", ".qoi", ".dds"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
)
ADDED = {"avif": (".avif",), "heic": (".heic", ".heif", ".hif")}  # where IMAGE_FORMATS names them: the bundle's
RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
RESERVED = ("arrivals",)  # what changes after a run is written under this name
OVERLAP = timedelta(days=1)  # of `since`: a multipart upload carries the time at which it was started
SPARE_MILLISECONDS = 60_000  # before the timeout, for the last plan file

s3 = boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 8}))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Plan `run`, perhaps with `source`, `since` (ISO 8601) and `shard_size`; `planned` is what the last call returned.

    `source` is a part of what is deployed, as `s3://bucket/prefix`. Returns `prefix` (of the plan files), `shards`,
    `images`, `bytes`, `not_decoded` (other images, by their keys' endings), `more` (call again) and `token`. Of two
    that plan one run at once, the first to finish has planned it; the other returns that plan.
    Raises ValueError for an input that cannot be meant.
    """
    run, size, since = _checked(event)
    output, source = os.environ["OUTPUT_BUCKET"], _source(event)
    if known := _known(output, run):
        if known.get("source", source) != source:
            raise ValueError(f"run {run} is of {known['source']}, not of {source}: give another name")
        return known
    state = event.get("planned") or _first(run, source)
    rows: list[dict[str, Any]] = []
    while True:
        page = _page(source.removeprefix(f"s3://{os.environ['SOURCE_BUCKET']}/"), state["token"])
        rows += _rows(page, since, state)
        state["token"] = page.get("NextContinuationToken")
        stop = not state["token"] or context.get_remaining_time_in_millis() < SPARE_MILLISECONDS
        while len(rows) >= size or (rows and stop):  # a short file at a stop: no rows are carried in the state
            body = "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows[:size])
            s3.put_object(Bucket=output, Key=f"{state['prefix']}{state['shards']:08d}.jsonl", Body=body.encode())
            state["shards"], rows = state["shards"] + 1, rows[size:]
        if stop:
            break
    result = {**state, "more": bool(state["token"])}
    return result if result["more"] else _decided(output, run, result)


def _first(run: str, source: str) -> dict[str, Any]:
    """Begin a listing, below a name of its own: files of two listings would not fit together."""
    prefix = f"runs/{run}/plan/{secrets.token_hex(4)}/"
    counts = {"shards": 0, "images": 0, "bytes": 0, "not_decoded": {}}
    return {**counts, "source": source, "prefix": prefix, "token": None, "listed_at": time.time_ns() // 1_000_000}


def _decided(output: str, run: str, result: dict[str, Any]) -> dict[str, Any]:
    """Record a complete plan as the run's, and return the run's plan: of two at once, S3 decides."""
    try:
        s3.put_object(Bucket=output, Key=f"runs/{run}/plan.json", Body=json.dumps(result).encode(), IfNoneMatch="*")
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise  # also ConditionalRequestConflict, at which the state machine calls again
        return _known(output, run) or result
    return result


def _checked(event: dict[str, Any]) -> tuple[str, int, datetime | None]:
    run, size, since = event.get("run"), event.get("shard_size"), event.get("since")
    size = 1000 if size is None else size
    if not isinstance(run, str) or not RUN.fullmatch(run) or run in RESERVED:
        raise ValueError(f"run is {run!r}: give letters, digits, dots, dashes or underscores, at most 64, not arrivals")
    if not isinstance(size, int) or not 1 <= size <= 10_000:
        raise ValueError(f"shard_size is {size!r}: give a whole number from 1 to 10000")
    if since is None:
        return run, size, None
    try:
        found = datetime.fromisoformat(str(since))
        return run, size, (found if found.tzinfo else found.replace(tzinfo=UTC)) - OVERLAP
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"since is {since!r}: give a date or a time, such as 2026-01-31 or 2026-01-31T12:00Z"
        ) from error


def _source(event: dict[str, Any]) -> str:
    own = f"s3://{os.environ['SOURCE_BUCKET']}/{os.environ.get('SOURCE_PREFIX', '')}"
    source = event.get("source") or own
    if not isinstance(source, str) or not source.startswith(own):
        raise ValueError(f"source is {source!r}: give {own}, which this deployment embeds, or a part of it")
    return source


def _known(output: str, run: str) -> dict[str, Any] | None:
    """Return the plan of a run that was planned before: the same run is the same images."""
    try:
        found: dict[str, Any] = json.loads(s3.get_object(Bucket=output, Key=f"runs/{run}/plan.json")["Body"].read())
    except s3.exceptions.NoSuchKey:
        return None
    return found


def _page(prefix: str, token: str | None) -> dict[str, Any]:
    more = {"ContinuationToken": token} if token else {}
    source = {"Bucket": os.environ["SOURCE_BUCKET"], "Prefix": prefix}
    return dict(s3.list_objects_v2(**source, **more))


def _rows(page: dict[str, Any], since: datetime | None, state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the page's images as rows of a plan, and count them, and those that the bundle does not decode."""
    rows, others = [], state.setdefault("not_decoded", {})
    names = os.environ.get("IMAGE_FORMATS", "").split(",")
    taken = (*ENDINGS, *(ending for name in names for ending in ADDED.get(name, ())))
    for item in page.get("Contents", ()):
        if since and item["LastModified"] < since:
            continue
        if not item["Key"].lower().endswith(taken):
            if ending := next((one for one in OTHER_ENDINGS if item["Key"].lower().endswith(one)), None):
                others[ending] = others.get(ending, 0) + 1
            continue
        state["images"] += 1
        state["bytes"] += item["Size"]
        key, size = item["Key"], item["Size"]
        rows.append({"bucket": os.environ["SOURCE_BUCKET"], "key": key, "size": size, "seen_at": state["listed_at"]})
    return rows
