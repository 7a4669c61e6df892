"""What comes after a run, or goes on with it: what is outdated of an image that is gone or broken; which settings."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from handler.batch import arrivals, shard
from handler.batch.shard import ShardError
from handler.errors import ImageError
from tests.unit.batch_world import OUTPUT, SOURCE, World, newest, png, vector, world
from tests.unit.handler.batch.test_arrivals import message
from tests.unit.handler.batch.test_shard import DONE, PLAN, plan, refuse


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "bundle") as found:
        yield found


def test_a_later_run_outdates_the_vector_of_what_is_gone_or_no_image_any_more(
    made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ["archived.png", "broken.png", "denied.png", "gone.png", "same.png"]
    for place, key in enumerate(keys):
        made.put(key, png(place))
    plan(made, keys)
    shard.run(PLAN, made.work, 0.5)
    made.put("broken.png", b"no image")
    made.s3.delete_object(Bucket=SOURCE, Key="gone.png")
    second = "runs/second/plan/00000000.jsonl"
    plan(made, keys, second, 1_700_000_100_000)
    refuse(made, monkeypatch, "AccessDenied", "denied.png")
    refuse(made, monkeypatch, "InvalidObjectState", "archived.png")

    assert shard.run(second, made.work, 1.0) == {**DONE, "embedded": 1, "failed": 4}

    assert sorted(newest(made.download(tmp_path))) == ["archived.png", "denied.png", "same.png"]


def test_a_fault_of_the_deployments_own_code_outdates_no_vector(made: World, tmp_path: Path) -> None:
    made.put("a.png", png(1))
    plan(made, ["a.png"])
    shard.run(PLAN, made.work, 0.5)

    def preprocess(_: object) -> None:
        raise ImageError("extension_failed", "preprocess_image raised KeyError")

    own: Any = SimpleNamespace(image=preprocess)
    changed = made.work._replace(model=made.work.model._replace(own=own))
    second = "runs/second/plan/00000000.jsonl"
    plan(made, ["a.png"], second, 1_700_000_100_000)

    assert shard.run(second, changed, 1.0) == {**DONE, "embedded": 0, "failed": 1}
    assert sorted(newest(made.download(tmp_path))) == ["a.png"]


def test_a_change_at_which_the_deployments_own_code_fails_is_not_lost(made: World, tmp_path: Path) -> None:
    def preprocess(_: object) -> None:
        raise ImageError("extension_failed", "preprocess_image raised KeyError")

    own: Any = SimpleNamespace(image=preprocess)
    broken = made.work._replace(model=made.work.model._replace(own=own))
    made.put("a.png", png(1))
    arrivals.run([message("a.png")], made.work)
    made.put("a.png", png(100))
    made.put("b.png", png(2))
    events = [message("a.png"), message("b.png")]

    for _ in range(2):  # they come again
        returned = arrivals.run(events, broken)["batchItemFailures"]
        assert [item["itemIdentifier"] for item in returned] == [event["messageId"] for event in events]
        for event in events:
            event["attributes"] = {"ApproximateReceiveCount": "2"}
    (errors,) = made.names("errors/")
    told = [json.loads(line) for line in made.work.store.read(errors).splitlines()]
    assert sorted((line["key"], line["code"]) for line in told) == [
        ("a.png", "extension_failed"),
        ("b.png", "extension_failed"),
    ]
    kept = newest(made.download(tmp_path / "kept"))
    assert list(kept) == ["a.png"]
    np.testing.assert_allclose(kept["a.png"], vector(1), atol=1e-6)

    assert arrivals.run(events, made.work) == {"batchItemFailures": []}  # once the code was corrected
    found = newest(made.download(tmp_path / "after"))
    np.testing.assert_allclose([found["a.png"], found["b.png"]], [vector(100), vector(2)], atol=1e-6)


def test_an_image_that_is_whole_again_when_its_run_goes_on_has_its_vector(made: World, tmp_path: Path) -> None:
    made.put("a.png", b"no image")
    made.put("b.png", png(1))
    plan(made, ["a.png", "b.png"])
    shard.run(PLAN, made.work, 1.0)
    (lost,) = made.names("vectors/")
    made.s3.delete_object(Bucket=OUTPUT, Key=lost)  # as of a worker that was killed before it wrote them
    made.put("a.png", png(7))

    assert shard.run(PLAN, made.work, 1.0) == {**DONE, "embedded": 2, "failed": 0}

    assert sorted(newest(made.download(tmp_path))) == ["a.png", "b.png"]


@pytest.mark.parametrize("done", ["first", "second"])
@pytest.mark.parametrize("other", ["exif_orientation", "int8"])
def test_a_run_that_goes_on_with_other_settings_of_vectors_is_refused(made: World, done: str, other: str) -> None:
    """Also a shard that is not done yet: a redrive, and a run that stopped, have these alone."""
    first, second = PLAN, PLAN.replace("00000000", "00000001")
    for place, name in enumerate((first, second)):
        made.put(f"{place}.png", png(place))
        plan(made, [f"{place}.png"], name)
    shard.run(first if done == "first" else second, made.work, 0.5)
    settings = made.work.settings._replace(exif_orientation=True)
    changed = made.work._replace(int8=True) if other == "int8" else made.work._replace(settings=settings)

    for name in (first, second):
        with pytest.raises(ShardError, match=r"run first was begun with .*, and now it is .*: set it back, or start"):
            shard.run(name, changed, 0.5)
    assert len(made.names("vectors/")) == 1

    assert {shard.run(name, made.work, 0.5).get("skipped") for name in (first, second)} == {True, False}
    assert len(made.names("vectors/")) == 2


@pytest.mark.parametrize("content", [b"", b"null", b"[1]", b'"exif_orientation"'])
def test_a_run_whose_settings_are_damaged_is_named(made: World, content: bytes) -> None:
    made.put("a.png", png(1))
    plan(made, ["a.png"])
    name = f"runs/first/settings-{made.work.manifest_sha256[:12]}.json"
    made.work.store.write(name, content)

    with pytest.raises(ShardError, match=rf"^{name} is damaged, .* run first was begun: restore it, or start a run of"):
        shard.run(PLAN, made.work, 0.5)
    assert made.work.store.read(name) == content
    assert made.names("vectors/") == []
