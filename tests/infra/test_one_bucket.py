"""One bucket may have the images and the results: only what may be an image calls the worker."""

import json
from typing import Any

import pytest
from moto.events.models import EventPattern

from handler.batch.rows import endings
from tests.infra.conftest import Synth, resources

# As "What is written" in docs/collections.md, and LanceDB's.
RESULTS = (
    "vectors/model=0a/run=first/00000000.parquet",
    "errors/model=0a/run=first/00000000.jsonl",
    "deletions/model=0a/run=arrivals/0a.jsonl",
    "parts/model=0a/run=arrivals/0a.json",
    "runs/first/plan.json",
    "compactions/model=0a/0a.json",
    "index/current.json",
    *(f"index/t.lance/{name}" for name in ("data/0a.lance", "_versions/1.manifest", "_transactions/1.txn")),
    "index/t.lance/_indices/0a/index.idx",
)


@pytest.mark.parametrize("given", [{}, {"batch_output": "vectors"}, {"batch_output": "photos"}])
def test_no_result_and_every_image_of_a_whole_bucket_calls_the_worker(synth: Synth, given: Any) -> None:
    """moto matches patterns as EventBridge's documentation has it ("Comparison operators": anything-but)."""
    (rule,) = [item for item in resources(synth(batch_source="photos", **given), "AWS::Events::Rule") if is_of_s3(item)]
    pattern = EventPattern.load(json.dumps(rule["EventPattern"]))

    def calls(key: str) -> bool:
        detail = {"bucket": {"name": "photos"}, "object": {"key": key}}
        event: Any = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
        return bool(pattern.matches_event(event))

    assert all(calls(f"{folder}one{ending}") for folder in ("", "runs/", "index/") for ending in endings(()))
    assert [calls(key) for key in RESULTS] == [given.get("batch_output") != "photos"] * len(RESULTS)


def is_of_s3(rule: dict[str, Any]) -> bool:
    return bool(rule.get("EventPattern", {}).get("source") == ["aws.s3"])
