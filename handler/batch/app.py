"""Lambda's entry point of the batch worker, `handler.batch.app.lambda_handler`. The same package as the API's."""

from handler import offline  # noqa: F401, I001 - before all else: libraries freeze their network settings when imported

import functools
import json
import os
import time
from typing import Any

from handler.batch import arrivals, shard
from handler.batch.reader import BucketReader, make_client
from handler.batch.settings import BatchSettings
from handler.batch.shard import ShardError, Work
from handler.batch.store import Bucket
from handler.manifest import IMAGE
from handler.service import Service

STARTED = time.monotonic()
SERVICE = Service.start(os.environ, STARTED)


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take `{"plan": key}` from the state machine, or a batch of SQS messages.

    Raises ShardError and TransientError, which the state machine names and retries.
    """
    if "Records" in event:
        outcome = arrivals.run(event["Records"], _work())
        facts = {"messages": len(event["Records"]), "returned": len(outcome["batchItemFailures"])}
    elif "plan" in event:
        outcome = facts = shard.run(str(event["plan"]), _work(), BatchSettings.from_env().max_failed)
    else:
        raise ShardError('the event has neither "plan" nor "Records": this function is called by the state machine')
    print(json.dumps({"batch": facts}))
    return outcome


def _work() -> Work:
    model = SERVICE.model(None, (IMAGE,))
    client = _client()
    return Work(
        model,
        SERVICE.models.manifest.sha256,
        SERVICE.settings,
        BucketReader(client, SERVICE.settings.max_object_bytes),
        Bucket(client, BatchSettings.from_env().output),
    )


@functools.cache
def _client() -> Any:
    return make_client()
