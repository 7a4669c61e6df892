"""A run after others, or gone on with: what they have of an image that is gone, or is none any more, is outdated."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from handler.batch import shard
from handler.batch.shard import ShardError
from tests.unit.batch_world import OUTPUT, SOURCE, World, newest, png, world
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


def test_a_run_that_is_gone_on_with_by_other_settings_of_vectors_is_refused(made: World, tmp_path: Path) -> None:
    made.put("a.png", png(1))
    plan(made, ["a.png"])
    shard.run(PLAN, made.work, 0.5)
    (name,) = made.names("vectors/")
    turned = made.work._replace(settings=made.work.settings._replace(exif_orientation=True))

    with pytest.raises(ShardError, match=f"{name} .*exif_orientation=false, and now .*=true: .*run of another name"):
        shard.run(PLAN, turned, 0.5)
    assert shard.run(PLAN, made.work, 0.5) == {"shard": "00000000", "skipped": True}

    made.work.store.write(name, b"PAR1 of half a file")
    with pytest.raises(ShardError, match=f"{name}: .*not all of one: remove it"):
        shard.run(PLAN, made.work, 0.5)
