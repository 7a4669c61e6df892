"""What a worker had saved is not done again; what cannot be used is; and int8 vectors have the API's scale."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from handler.batch import shard
from handler.batch.reader import TransientError
from handler.batch.rows import json_lines
from handler.batch.settings import BatchSettings
from handler.errors import SettingsError
from tests.unit.batch_world import OUTPUT, SOURCE, World, png, world

PLAN = "runs/first/plan/0123abcd/00000000.jsonl"
IMAGES, EVERY = 100, 32


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "bundle") as found:
        for number in range(IMAGES):
            found.put(f"{number:03d}.png", png(number) if number % 10 else b"broken")
        rows: list[dict[str, Any]] = [
            {"bucket": SOURCE, "key": f"{number:03d}.png", "size": 90, "seen_at": 7} for number in range(IMAGES)
        ]
        found.work.store.write(PLAN, json_lines(rows))
        yield found


def interrupted(made: World, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """Run the shard until S3 fails at one image."""
    from botocore.exceptions import EndpointConnectionError

    before = made.s3.get_object

    def get_object(**asked: Any) -> Any:
        if asked["Key"] == at:
            raise EndpointConnectionError(endpoint_url="https://s3.test")
        return before(**asked)

    monkeypatch.setattr(made.s3, "get_object", get_object)
    with pytest.raises(TransientError):
        shard.run(PLAN, made.work._replace(saved_every=EVERY), 0.5)
    monkeypatch.setattr(made.s3, "get_object", before)


def test_a_shard_goes_on_after_its_last_part_and_its_file_is_the_same(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shard.run(PLAN, made.work, 0.5)["embedded"] == 90
    (name,) = made.names("vectors/")
    (errors,) = made.names("errors/")
    first, told = made.work.store.read(name), made.work.store.read(errors)
    for written in (name, errors):
        made.s3.delete_object(Bucket=OUTPUT, Key=written)

    interrupted(made, monkeypatch, "090.png")
    assert len(made.names("parts/")) == 2  # of 32 each; the third group was not complete
    assert made.names("vectors/") == []
    outcome = shard.run(PLAN, made.work._replace(saved_every=EVERY), 0.5)

    assert outcome == {"shard": "00000000", "skipped": False, "embedded": 90, "failed": 10, "resumed": 64}
    assert (made.work.store.read(name), made.work.store.read(errors)) == (first, told)
    assert made.names("parts/") == []


@pytest.mark.parametrize("again", [False, True])
def test_what_failed_before_a_run_was_stopped_is_looked_at_by_the_one_that_goes_on(
    made: World, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    interrupted(made, monkeypatch, "090.png")
    for number in range(0, IMAGES, 10):
        made.put(f"{number:03d}.png", png(number))
    outcome = shard.run(PLAN, made.work._replace(saved_every=EVERY), 0.5, again)
    # A try a moment later, after a worker that may have been killed, takes them as they are.
    old = 7 if again else 0
    assert outcome == {"shard": "00000000", "skipped": False, "embedded": 100 - old, "failed": old, "resumed": 64}


def forget_settings(made: World) -> None:
    """Make it a run of a release that did not write its settings down."""
    (name,) = made.names("runs/first/settings-")
    made.s3.delete_object(Bucket=OUTPUT, Key=name)


def test_parts_that_were_embedded_by_other_settings_are_not_mixed_with_new_ones(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's metadata says one setting of all of its vectors."""
    interrupted(made, monkeypatch, "090.png")
    forget_settings(made)
    turned = made.work._replace(settings=made.work.settings._replace(exif_orientation=True), saved_every=EVERY)
    outcome = shard.run(PLAN, turned, 0.5)
    assert outcome == {"shard": "00000000", "skipped": False, "embedded": 90, "failed": 10}


@pytest.mark.parametrize("damage", [b"", b"no archive", b"PK\x03\x04 and nothing", "other rows"])
def test_a_part_that_cannot_be_used_counts_as_missing(
    made: World, monkeypatch: pytest.MonkeyPatch, damage: bytes | str
) -> None:
    interrupted(made, monkeypatch, "090.png")
    first, second = made.names("parts/")
    made.work.store.write(second, made.work.store.read(first) if isinstance(damage, str) else damage)
    assert shard.run(PLAN, made.work._replace(saved_every=EVERY), 0.5)["resumed"] == 32


def test_int8_vectors_have_the_scale_that_the_file_names(made: World, tmp_path: Path) -> None:
    shard.run(PLAN, made.work, 0.5)
    rows = "SELECT key, vector FROM read_parquet(?) ORDER BY key"
    (path,) = made.download(tmp_path / "float").glob("vectors/*/*/*.parquet")
    floats: Any = duckdb.sql(rows, params=[str(path)])
    for name in made.names("vectors/"):
        made.s3.delete_object(Bucket=OUTPUT, Key=name)
    forget_settings(made)
    shard.run(PLAN, made.work._replace(int8=True), 0.5)
    (path,) = made.download(tmp_path / "int8").glob("vectors/*/*/*.parquet")
    small: Any = duckdb.sql(rows, params=[str(path)])
    assert str(small.types[1]).startswith("TINYINT")
    found: Any = duckdb.sql("SELECT value FROM parquet_kv_metadata(?) WHERE key = 'openclip'", params=[str(path)])
    settings = json.loads(found.fetchall()[0][0])["settings"]
    # docs/api.md: x * 127 / min(1, 8 / sqrt(D)), which is 127 for four dimensions.
    assert (settings["vectors"], settings["scale"]) == ("int8", 127)
    wanted = np.rint(np.array([row[1] for row in floats.fetchall()]) * 127)
    np.testing.assert_array_equal(np.array([row[1] for row in small.fetchall()]), wanted)


def test_a_type_that_vectors_cannot_have_is_told() -> None:
    with pytest.raises(SettingsError, match="set it to float32 or int8"):
        BatchSettings.from_env({"OPENCLIP_BATCH_OUTPUT": "b", "OPENCLIP_BATCH_VECTORS": "binary"})


def test_only_the_output_has_to_be_set() -> None:
    assert BatchSettings.from_env({"OPENCLIP_BATCH_OUTPUT": "b"}) == BatchSettings("b", 0.5, "float32")
