"""The documents that `--json` prints, as JSON Schema: programs rely on these names."""

from typing import Any

import jsonschema

NUMBER: dict[str, Any] = {"type": "number", "minimum": 0}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
TEXT: dict[str, Any] = {"type": "string"}
MAYBE_TEXT: dict[str, Any] = {"type": ["string", "null"]}
MAYBE_NUMBER: dict[str, Any] = {"type": ["number", "null"]}


def record(**properties: dict[str, Any]) -> dict[str, Any]:
    """All of these and no others."""
    return {"type": "object", "additionalProperties": False, "required": sorted(properties), "properties": properties}


def rows(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


STATES = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE", "INCOMPLETE"]
STATUS = record(
    run=TEXT,
    status={"enum": STATES},
    counted_by={"enum": ["map run", "Parquet files", "nothing yet"]},
    shards=record(total=COUNT, done=COUNT, running=COUNT, failed=COUNT),
    images=record(total=COUNT, done=COUNT),
    seconds=NUMBER,
    images_per_second=NUMBER,
    seconds_left=MAYBE_NUMBER,
    dollars=MAYBE_NUMBER,
    execution=MAYBE_TEXT,
    cause=MAYBE_TEXT,
    failures=rows(TEXT),
    not_decoded={"type": "object", "additionalProperties": COUNT},
)
ENDED = record(**STATUS["properties"], failed=COUNT, exit_status=COUNT)
STARTED = record(
    run=TEXT, how={"enum": ["started", "redriven", "started again"]}, status={"enum": STATES}, execution=TEXT
)
KEY = record(run=TEXT, bucket=TEXT, key=TEXT)
ERRORS = record(run=MAYBE_TEXT, total=COUNT, codes=rows(record(code=TEXT, images=COUNT, message=TEXT, keys=rows(KEY))))
COUNTED = {
    "source": TEXT,
    "images": COUNT,
    "objects": COUNT,
    "bytes": COUNT,
    "counted": {"type": "boolean"},
    "relative_error": NUMBER,
    "complete": {"type": "boolean"},
    "requests": COUNT,
    "hours": NUMBER,
    "milliseconds": NUMBER,
}
FOLDER = record(**COUNTED, dollars={"type": "null"})
ESTIMATE = record(
    **COUNTED,
    dollars=NUMBER,
    dollars_per_million_images=MAYBE_NUMBER,
    lines=rows(record(name=TEXT, quantity=NUMBER, unit=TEXT, price=NUMBER, dollars=NUMBER, formula=TEXT)),
    prices={"type": "object", "required": ["region", "date", "pages", "s3_get_thousand"]},
    work=record(
        images=COUNT,
        objects=COUNT,
        dimensions=COUNT,
        vcpu_milliseconds=NUMBER,
        memory=COUNT,
        architecture={"enum": ["x86_64", "arm64"]},
        shard_size=COUNT,
        concurrency=COUNT,
    ),
)


def check(document: Any, schema: dict[str, Any]) -> None:
    """Raise where the document is not as the schema says."""
    jsonschema.validate(document, schema)
