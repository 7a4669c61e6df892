"""How the state machine tries again, what it tells a worker of that, and that the worker reads it."""

import ast
import hashlib
import heapq
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import handler.batch
from handler.batch.shard import DIGITS
from infra.settings import StackSettings
from tests.infra.conftest import Synth, Template, resources


def test_a_worker_is_told_how_often_its_shard_was_tried_before(synth: Synth) -> None:
    """AWS Step Functions, "Accessing execution data from the Context object": `$$.State.RetryCount`."""
    given = parameters(synth(batch_source="photos"))
    del given["model"]
    assert given == {"plan.$": "$.plan", "retries.$": "$$.State.RetryCount"}
    source = ast.parse((Path(handler.batch.__path__[0]) / "app.py").read_text())
    read = {node.value for node in ast.walk(source) if isinstance(node, ast.Constant)}
    assert {name.removesuffix(".$") for name in (*given, "model")} <= read


def test_a_run_tells_its_workers_the_bundle_that_it_began_with(
    synth: Synth, build_dir: Callable[[str, str], Path]
) -> None:
    """AWS Step Functions, UpdateStateMachine: "Running executions will continue to use the previous definition"."""
    manifest = (build_dir("image", "x86_64") / "bundle" / "manifest.json").read_bytes()
    model = parameters(synth(batch_source="photos"))["model"]
    assert model == hashlib.sha256(manifest).hexdigest()[:DIGITS]


def parameters(template: Template) -> dict[str, Any]:
    """What the state machine gives to a worker."""
    found: dict[str, Any] = embedding(template)["Parameters"]
    return found


def embedding(template: Template) -> dict[str, Any]:
    """The state that gives a shard to a worker."""
    (machine,) = resources(template, "AWS::StepFunctions::StateMachine")
    parts = machine["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else "arn" for part in parts)
    found: dict[str, Any] = json.loads(text)["States"]["Shards"]["ItemProcessor"]["States"]["Embed"]
    return found


def simulated(retriers: list[dict[str, Any]], workers: int, seconds: float) -> tuple[int, int]:
    """Run 5,000 shards with 10 places; returns how many failed for want of a place, and the most tries of one.

    Amazon States Language, "Errors": the first retrier that names an error counts, MaxAttempts times, after
    IntervalSeconds * BackoffRate ** tries before, up to MaxDelaySeconds; with jitter FULL at random between 0 and that.
    """
    [full, *_] = [one for one in retriers if "Lambda.TooManyRequestsException" in one["ErrorEquals"]]
    dice = random.Random(7)  # noqa: S311 - no secret
    agenda = [(0.0, False, 0)] * workers  # when, whether a worker ends, tries before
    free, left, failed, most = 10, 5_000 - workers, 0, 0
    while agenda:
        now, ended, tries = heapq.heappop(agenda)
        if not ended and free:
            free -= 1
            heapq.heappush(agenda, (now + seconds, True, 0))
            continue
        if not ended and tries < full["MaxAttempts"]:
            pause = min(full["IntervalSeconds"] * full["BackoffRate"] ** tries, full["MaxDelaySeconds"])
            heapq.heappush(agenda, (now + dice.uniform(0, pause), False, tries + 1))
            most = max(most, tries + 1)
            continue
        free, failed = free + ended, failed + (not ended)
        if left:  # Distributed Map, MaxConcurrency: where one shard is done with, another one begins
            left -= 1
            heapq.heappush(agenda, (now + 0.1, False, 0))
    return failed, most


@pytest.mark.parametrize("seconds", [20, 200, 900])  # of a shard: Lambda's own limit is the last
def test_no_shard_fails_for_want_of_a_place_in_a_new_account(synth: Synth, seconds: int) -> None:
    """AWS Lambda, "Lambda quotas": new accounts have reduced concurrency. The default is of 50 workers."""
    retriers = embedding(synth(batch_source="photos"))["Retry"]

    failed, most = simulated(retriers, StackSettings().batch_concurrency, seconds)

    assert failed == 0
    assert most > 10  # the account was full
    [busy, *_] = retriers
    # AWS Step Functions, "Service quotas": 25,000 events of an execution. A try is scheduled, begun and failed.
    assert 3 * busy["MaxAttempts"] < 25_000
