"""Lambda's entry point of the batch worker, `handler.batch.app.lambda_handler`. The same package as the API's."""

from handler import offline  # noqa: F401, I001 - before all else: libraries freeze their network settings when imported

import functools
import json
import os
import time
from typing import Any

from handler.batch import arrivals, compaction, shard
from handler.batch.reader import BucketReader, make_client, now
from handler.batch.settings import BatchSettings
from handler.batch.shard import DIGITS, ShardError, Work
from handler.batch.store import Bucket
from handler.manifest import IMAGE
from handler.service import Service

SPARE_MILLISECONDS = 180_000  # before the timeout, for the last files of a compaction
STARTED = time.monotonic()
SERVICE = Service.start(os.environ, STARTED)


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take `{"plan": key}` from the state machine, a batch of SQS messages, or `{"compact": {}}` from the schedule.

    Raises ShardError and TransientError, which the state machine names and retries. Then `retries` says how often.
    `model` is of the bundle that was deployed when the run began: an execution keeps the definition it began with.
    """
    if "Records" in event:
        outcome = arrivals.run(event["Records"], _work())
        facts = {"messages": len(event["Records"]), "returned": len(outcome["batchItemFailures"])}
    elif "plan" in event:
        again = bool(event.get("retries"))
        limit = BatchSettings.from_env().max_failed
        outcome = facts = shard.run(str(event["plan"]), _work(), limit, again, event.get("model"))
    elif "compact" in event:
        outcome = facts = _compact(context)
    else:
        raise ShardError('the event has no "plan", "Records" or "compact": this function is called by the batch\'s own')
    print(json.dumps({"batch": facts}))
    return outcome


def _compact(context: Any) -> dict[str, Any]:
    store = Bucket(_client(), BatchSettings.from_env().output)
    model = SERVICE.models.vectors_sha256()[:DIGITS]
    return compaction.run(store, model, now(), lambda: context.get_remaining_time_in_millis() < SPARE_MILLISECONDS)


def _work() -> Work:
    model = SERVICE.model(None, (IMAGE,))
    client, settings = _client(), BatchSettings.from_env()
    return Work(
        model,
        SERVICE.models.vectors_sha256(),
        SERVICE.settings,
        BucketReader(client, SERVICE.settings.max_object_bytes),
        Bucket(client, settings.output),
        int8=settings.vectors == "int8",
    )


@functools.cache
def _client() -> Any:
    return make_client()
