"""What the state machine tells a worker of the tries before, and that the worker reads it."""

import ast
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import handler.batch
from handler.batch.shard import DIGITS
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
    (machine,) = resources(template, "AWS::StepFunctions::StateMachine")
    parts = machine["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else "arn" for part in parts)
    found: dict[str, Any] = json.loads(text)["States"]["Shards"]["ItemProcessor"]["States"]["Embed"]["Parameters"]
    return found
