"""An index in S3 Vectors has images of one setting, and a rebuild that chooses the other one replaces them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from handler.errors import ApiError
from handler.search import s3vectors
from handler.search.fill import fill
from handler.search.records import Gone, Item
from handler.search.s3vectors import S3VectorsIndex
from handler.search.source import Source, SourceError
from tests.unit.search_files import lines, parquet, save
from tests.unit.search_world import ABOUT, QUERY, item

PLACE = "s3vectors:photos-vectors/openclip-abc-upright"
WHERE = {"vectorBucketName": "photos-vectors", "indexName": "openclip-abc-upright"}
OLD = ABOUT._replace(settings={"exif_orientation": False, "normalize": True})
NEW = ABOUT._replace(settings={"exif_orientation": True, "normalize": True})
NOTHING = ABOUT._replace(settings={})


@pytest.fixture
def client() -> Iterator[Any]:
    """The service, with what the deployment makes."""
    with mock_aws():
        made = boto3.Session().client("s3vectors", region_name="eu-west-1")
        made.create_vector_bucket(vectorBucketName=WHERE["vectorBucketName"])
        made.create_index(**WHERE, dataType="float32", dimension=8, distanceMetric="cosine")
        yield made


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Files of both settings: of the old one `both` was looked at later, and `gone` was deleted."""
    return Source(
        str(
            save(
                {
                    "vectors/model=x/run=new/0.parquet": parquet([item("both", QUERY, 3), item("new", QUERY, 3)], NEW),
                    "vectors/model=x/run=old/0.parquet": parquet([item("both", -QUERY, 7), item("old", QUERY, 3)], OLD),
                    "deletions/model=x/run=new/0.jsonl": lines([Gone("photos", "gone", 9)]),
                },
                tmp_path,
            )
        )
    )


def only(source: Source, run: str) -> Source:
    return Source(str(save({"vectors/0/0/0.parquet": source.read(f"vectors/model=x/run={run}/0.parquet")}, Path(run))))


def stored(client: Any) -> dict[str, Any]:
    """The first number of each vector that can be found, by the key."""
    rows = client.list_vectors(**WHERE, returnMetadata=True, returnData=True)["vectors"]
    return {one["metadata"]["key"]: one["data"]["float32"][0] for one in rows if not one["metadata"]["gone"]}


def late(key: str = "late") -> Item:
    return item(key, QUERY, 1)


def refuse(act: Any) -> str:
    with pytest.raises(ApiError) as caught:
        act()
    assert caught.value.code == "index_of_another_model"
    return caught.value.message


def test_it_takes_no_images_that_were_read_otherwise(client: Any, source: Source) -> None:
    index = S3VectorsIndex(PLACE, client)
    with pytest.raises(SourceError, match="choose with --exif-orientation"):
        fill(source, index)
    made = fill(source, index, settings=OLD.settings)
    assert (made.rows, made.other_settings) == (2, 1)
    for told in (refuse(lambda: index.put([late()], NEW)), refuse(lambda: index.query(QUERY, NEW, 1))):
        assert "exif_orientation=false, and what is" in told
        assert "build the index again: `python -m handler.search rebuild --vectors" in told
        assert f" --index {PLACE} --exif-orientation true`" in told  # without it, it would be refused too
    index.put([late()], NOTHING)
    assert (index.count(), index.about()) == (3, OLD)


def test_a_rebuild_that_chooses_the_other_setting_replaces_all(client: Any, source: Source) -> None:
    index = S3VectorsIndex(PLACE, client)
    fill(source, index, settings=OLD.settings)
    index.put([late()], NOTHING)  # in no file
    for _ in range(2):  # again: nothing changes
        made = fill(source, index, settings=NEW.settings)
        assert (made.rows, made.gone, made.other_settings) == (2, 1, 1)
        assert stored(client) == pytest.approx({"both": QUERY[0], "new": QUERY[0]})
        assert index.about() == NEW
    index.put([late()], NEW)
    assert "what is written is of" in refuse(lambda: index.put([late()], OLD))
    fill(source, index, settings=OLD.settings)
    assert stored(client) == pytest.approx({"both": -QUERY[0], "old": QUERY[0]})
    assert index.about() == OLD


def test_what_the_files_happen_to_be_replaces_nothing(
    client: Any, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    index = S3VectorsIndex(PLACE, client)
    fill(source, index, settings=NEW.settings)
    told = refuse(lambda: fill(only(source, "old"), index))
    assert "exif_orientation=true, and the files have vectors with exif_orientation=false" in told
    assert "choose with --exif-orientation" in told
    assert (set(stored(client)), index.about()) == ({"both", "new"}, NEW)
    fill(only(source, "old"), index, settings={"exif_orientation": False})  # the fix that it names
    assert (set(stored(client)), index.about()) == ({"both", "old"}, OLD)


def test_one_that_is_stopped_while_it_removes_is_not_of_the_new_setting_and_the_next_goes_on(
    client: Any, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = S3VectorsIndex(PLACE, client)
    fill(source, index, settings=OLD.settings)
    index.put([late(str(number)) for number in range(1_201)], NOTHING)
    call, sizes = index._call, []

    def stopping(operation: str, **arguments: Any) -> Any:
        if operation == "delete_vectors":
            sizes.append(len(arguments["keys"]))
            if len(sizes) == 2:
                raise KeyboardInterrupt
        return call(operation, **arguments)

    monkeypatch.setattr(index, "_call", stopping)
    with pytest.raises(KeyboardInterrupt):
        fill(source, index, settings=NEW.settings)
    assert (index.about(fresh=True), len(stored(client))) == (OLD, 1_204 - 500)
    fill(source, index, settings=NEW.settings)
    assert (index.about(), set(stored(client))) == (NEW, {"both", "new"})
    assert max(sizes) == 500  # "Vectors per DeleteVectors API call" of the service's limits


def test_a_function_that_was_running_learns_of_it(client: Any, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    running = S3VectorsIndex(PLACE, client)
    fill(source, running, settings=OLD.settings)
    assert running.about() == OLD
    fill(source, S3VectorsIndex(PLACE, client), settings=NEW.settings)
    refuse(lambda: running.put([late()], OLD))  # at once
    assert running.about() == NEW
    fill(source, S3VectorsIndex(PLACE, client), settings=OLD.settings)
    monkeypatch.setattr(s3vectors, "FRESH_SECONDS", 0.0)  # and a reader, seconds later
    assert running.about() == OLD


def test_what_records_no_setting_replaces_nothing_and_an_index_is_of_the_chosen_one_from_then_on(
    client: Any, source: Source, tmp_path: Path
) -> None:
    index = S3VectorsIndex(PLACE, client)
    index.prepare(NOTHING)
    index.put([late()], NOTHING)
    fill(source, index, settings=NEW.settings)
    assert (set(stored(client)), index.about()) == ({"both", "new", "late"}, NEW)
    unsaid = save({"vectors/0/0/0.parquet": parquet([item("unsaid", QUERY)], NOTHING)}, tmp_path / "unsaid")
    fill(Source(str(unsaid)), index)
    assert (set(stored(client)), index.about()) == ({"both", "new", "late", "unsaid"}, NEW)
    refuse(lambda: index.put([late()], OLD))
