"""What the state machine tells a worker of the tries before, and that the worker reads it."""

import ast
import json
from pathlib import Path

import handler.batch
from tests.infra.conftest import Synth, resources


def test_a_worker_is_told_how_often_its_shard_was_tried_before(synth: Synth) -> None:
    """AWS Step Functions, "Accessing execution data from the Context object": `$$.State.RetryCount`."""
    (machine,) = resources(synth(batch_source="photos"), "AWS::StepFunctions::StateMachine")
    parts = machine["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else "arn" for part in parts)
    embed = json.loads(text)["States"]["Shards"]["ItemProcessor"]["States"]["Embed"]

    assert embed["Parameters"] == {"plan.$": "$.plan", "retries.$": "$$.State.RetryCount"}
    source = ast.parse((Path(handler.batch.__path__[0]) / "app.py").read_text())
    read = {node.value for node in ast.walk(source) if isinstance(node, ast.Constant)}
    assert {name.removesuffix(".$") for name in embed["Parameters"]} <= read
