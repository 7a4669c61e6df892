"""Images that were turned by their EXIF, and images that were not, are not compared; a text is compared with both."""

import os
import re
import time
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from handler.batch import compaction
from handler.batch.store import Directory
from handler.errors import ApiError
from handler.search import __main__ as command
from handler.search import backends, rebuild, rebuild_app, updates, updates_app
from handler.search.lance import LanceIndex
from handler.search.records import About, Gone
from handler.search.source import Source, SourceError
from tests.unit import fake_bundle
from tests.unit.fake_bundle import data_uri, image_bytes
from tests.unit.search_files import lines, parquet, save
from tests.unit.search_world import ABOUT, QUERY, SearchFunction, content, item, two_tables

OLD = ABOUT._replace(settings={"exif_orientation": False, "normalize": True})
NEW = ABOUT._replace(settings={"exif_orientation": True, "normalize": True})
EIGHTS = NEW._replace(settings={**NEW.settings, "vectors": "int8", "scale": 127.0})
IMAGE = data_uri(image_bytes((255, 0, 0)))
ARRIVED = "vectors/model=x/run=arrivals/late.parquet"


def files(*abouts: About) -> dict[str, bytes]:
    """A file of one image for each, called after its place: of a run of its own."""
    return {
        f"vectors/model=x/run=r{place}/0.parquet": parquet([item(str(place), QUERY, place)], about)
        for place, about in enumerate(abouts)
    }


@pytest.fixture
def turned(tmp_path: Path) -> SearchFunction:
    """The function with `exif_orientation`, over an index that was made without."""
    before = SearchFunction(tmp_path / "bundle", str(tmp_path / "index"))
    assert before.change({"put": [{"key": "a.png", "image": IMAGE}]})[0] == 200
    return SearchFunction(tmp_path / "bundle", str(tmp_path / "index"), exif_orientation=True)


@pytest.mark.parametrize("query", [{"image": IMAGE}, ["a", IMAGE]])
def test_an_image_is_not_looked_for_among_images_that_were_read_otherwise(turned: SearchFunction, query: Any) -> None:
    status, body = turned.search({"query": query})
    assert (status, body["error"]["code"]) == (409, "index_of_another_model")
    message = body["error"]["message"]
    assert "embedded with exif_orientation=false, and this function embeds with exif_orientation=true" in message
    assert "Set it back, or" in message
    assert re.search(r"`python -m handler.search rebuild .* --exif-orientation true`", message)


def test_an_image_is_not_put_among_images_that_were_read_otherwise(turned: SearchFunction) -> None:
    before = turned.get("/v1/index")
    image, vector = {"key": "b.png", "image": IMAGE}, {"key": "b", "vector": [1, 0, 0, 0]}
    for put in ([image], [vector, image]):
        status, body = turned.change({"put": put})
        assert (status, body["error"]["code"]) == (409, "index_of_another_model")
    assert turned.get("/v1/index") == before
    assert before[1]["settings"] == {"exif_orientation": False, "normalize": True}


@pytest.mark.parametrize("query", ["a", {"vector": [1, 0, 0, 1]}, ["a", {"vector": [1, 0, 0, 1]}]])
def test_what_the_setting_does_not_change_is_taken(turned: SearchFunction, query: Any) -> None:
    assert turned.change({"put": [{"key": "b.png", "vector": [1, 0, 0, 1]}]})[0] == 200
    assert {hit["key"] for hit in turned.search({"query": query})[1]["data"]} == {"a.png", "b.png"}
    assert turned.change({"delete": [{"key": "a.png"}]})[1]["rows"] == 1


def test_a_new_index_has_the_settings_of_who_makes_it_by_whatever_was_put(tmp_path: Path) -> None:
    function = SearchFunction(tmp_path / "bundle", str(tmp_path / "index"), exif_orientation=True)
    assert function.change({"put": [{"key": "b.png", "vector": [1, 0, 0, 1]}]})[0] == 200
    assert function.get("/v1/index")[1]["settings"] == {"exif_orientation": True, "normalize": True}


@pytest.mark.parametrize(("theirs", "ours"), [(NEW, EIGHTS), (EIGHTS, NEW), (ABOUT, NEW), (NEW, ABOUT)])
def test_how_vectors_are_stored_and_what_is_not_recorded_makes_no_other_index(
    tmp_path: Path, theirs: About, ours: About
) -> None:
    index = LanceIndex(str(tmp_path / "index"))
    index.prepare(theirs)
    index.put([item("a", QUERY)], ours)
    assert [hit.key for hit in index.query(QUERY, ours, 1)] == ["a"]
    folder = save(files(theirs, ours), tmp_path / "vectors")
    assert rebuild.rebuild(Source(str(folder)), index).rows == 2


def test_a_file_of_other_settings_is_refused_for_good_and_its_deletions_are_not(tmp_path: Path) -> None:
    index = LanceIndex(str(tmp_path / "index"))
    index.prepare(NEW)
    index.put([item("gone", QUERY, 1), item("kept", QUERY, 1)], NEW)
    gone = "deletions/model=x/run=arrivals/late.jsonl"
    store = Directory(
        save({ARRIVED: parquet([item("old", QUERY)], OLD), gone: lines([Gone("photos", "gone", 9)])}, tmp_path)
    )
    with pytest.raises(ApiError) as refused:
        updates.apply(store, [ARRIVED], index)
    assert refused.value.code == "index_of_another_model"
    event = '{"detail": {"object": {"key": "%s"}}}'
    messages = [{"messageId": name, "body": event % name} for name in (ARRIVED, gone)]
    for about in (OLD, NEW):  # also of a function that was deployed with the other setting
        assert updates_app.run(messages, store, index, about) == {"batchItemFailures": []}
        assert set(content(index)) == {"photos/kept"}


def test_of_files_of_both_settings_one_kind_is_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, place = save(files(OLD, NEW, EIGHTS), tmp_path / "vectors"), str(tmp_path / "index")
    asked = ["rebuild", "--vectors", str(folder), "--index", place]
    assert command.main(asked) == 1
    both = "has vectors with exif_orientation=false and with exif_orientation=true: choose with --exif-orientation"
    assert both in capsys.readouterr().err
    assert not Path(place).exists()
    for chosen, found in (("true", {"photos/1", "photos/2"}), ("false", {"photos/0"})):
        assert command.main([*asked, "--exif-orientation", chosen]) == 0
        left_out = "1 file" if chosen == "true" else "2 files"
        assert f", {left_out} of another setting left out; " in capsys.readouterr().out
        assert set(content(LanceIndex(place))) == found
        assert LanceIndex(place).about().settings["exif_orientation"] is (chosen == "true")


@pytest.mark.parametrize("abouts", list(permutations((ABOUT, OLD, NEW))))
def test_files_of_which_some_record_no_setting_are_told_apart_in_whatever_order(
    tmp_path: Path, abouts: tuple[About, ...]
) -> None:
    source, index = Source(str(save(files(*abouts), tmp_path / "vectors"))), LanceIndex(str(tmp_path / "index"))
    with pytest.raises(SourceError, match="exif_orientation=false and with exif_orientation=true: choose"):
        rebuild.rebuild(source, index)
    for chosen, refused in ((NEW, OLD), (OLD, NEW)):
        made = rebuild.rebuild(source, index, settings={"exif_orientation": chosen.settings["exif_orientation"]})
        assert set(content(index)) == {f"photos/{abouts.index(about)}" for about in (ABOUT, chosen)}
        assert (made.late, made.other_settings) == (0, 1)
        assert index.about().settings == chosen.settings
        with pytest.raises(ApiError, match="what is written is of"):
            index.put([item("after", QUERY)], refused)


def test_the_index_of_files_that_record_no_setting_has_the_chosen_one(tmp_path: Path) -> None:
    index = LanceIndex(str(tmp_path / "index"))
    rebuild.rebuild(Source(str(save(files(ABOUT), tmp_path / "vectors"))), index, settings={"exif_orientation": True})
    assert index.about() == NEW


@pytest.mark.parametrize("turned", [True, False])
def test_a_deployments_rebuild_takes_the_vectors_of_its_own_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turned: bool
) -> None:
    bundle = fake_bundle.write(tmp_path / "bundle")
    monkeypatch.setenv("OPENCLIP_BUNDLE_DIR", str(bundle))
    monkeypatch.setenv("OPENCLIP_EXIF_ORIENTATION", str(turned).lower())
    monkeypatch.setenv("OPENCLIP_BATCH_OUTPUT", "vectors")
    monkeypatch.setenv("OPENCLIP_INDEX", str(tmp_path / "index"))
    digest = SearchFunction(tmp_path / "bundle", str(tmp_path / "index")).service.models.vectors_sha256()
    old, new = (about._replace(manifest_sha256=digest) for about in (OLD, NEW))
    folder = save(files(old, new), tmp_path / "vectors")
    monkeypatch.setattr(
        rebuild_app,
        "rebuild_index",
        lambda vectors, *given: backends.rebuild_index(str(folder) if vectors == "s3://vectors" else vectors, *given),
    )
    assert rebuild_app.lambda_handler({}, None)["other_settings"] == 1
    assert set(content(LanceIndex(str(tmp_path / "index")))) == {"photos/1" if turned else "photos/0"}


def test_a_deletion_counts_after_compaction_though_the_image_came_back_with_other_settings(tmp_path: Path) -> None:
    """Deleted, and embedded again while the function turned images: a rebuild without turning has none of it."""
    place, arrivals = f"model={OLD.manifest_sha256[:12]}", "run=arrivals"
    run = {f"vectors/{place}/run=first/0.parquet": parquet([item("a", QUERY, 3), item("b", QUERY, 3)], OLD)}
    gone = {f"deletions/{place}/{arrivals}/0.jsonl": lines([Gone("photos", "a", 5)])}
    came = {
        f"vectors/{place}/{arrivals}/{number}.parquet": parquet([item(key, QUERY, 7)], NEW)
        for number, key in enumerate(["a", *"cdefghij"])
    }
    folder = save({**run, **gone, **came}, tmp_path / "vectors")
    after = time.time_ns() // 1_000_000 + compaction.MARGIN
    assert compaction.run(Directory(folder), place.removeprefix("model="), after)["compacted"] == 10
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (0, 0))
    assert compaction.run(Directory(folder), place.removeprefix("model="), after)["removed"] == 10

    index = LanceIndex(str(tmp_path / "index"))
    rebuild.rebuild(Source(str(folder)), index, settings={"exif_orientation": False})
    assert set(content(index)) == {"photos/b"}


def test_where_no_vectors_are_of_the_setting_the_index_stays(tmp_path: Path) -> None:
    folder, index = save(files(OLD), tmp_path / "vectors"), LanceIndex(str(tmp_path / "index"))
    rebuild.rebuild(Source(str(folder)), index)
    with pytest.raises(SourceError, match=r"has no vectors with exif_orientation=true: .*a run with another name"):
        rebuild.rebuild(Source(str(folder)), index, settings={"exif_orientation": True})
    assert set(content(index)) == {"photos/0"}


def test_a_file_of_other_settings_that_comes_meanwhile_stops_no_rebuild(tmp_path: Path) -> None:
    folder, index = save(files(NEW), tmp_path / "vectors"), LanceIndex(str(tmp_path / "index"))

    def arrives(name: str, done: int, of: int) -> None:
        save({ARRIVED: parquet([item("late", QUERY)], OLD)}, folder)

    made = rebuild.rebuild(Source(str(folder)), index, progress=arrives)
    assert (made.late, set(content(index))) == (0, {"photos/0"})


def test_a_rebuild_that_began_before_one_of_other_settings_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, place = Source(str(save(files(OLD, NEW), tmp_path / "vectors"))), str(tmp_path / "index")
    names = iter(two_tables())
    monkeypatch.setattr(rebuild, "new_name", lambda: next(names))

    def faster(name: str, done: int, of: int) -> None:
        if name == "index":
            rebuild.rebuild(source, LanceIndex(place), settings=NEW.settings)

    with pytest.raises(ApiError, match=r"exif_orientation=true\) after this rebuild for .*exif_orientation=false\)"):
        rebuild.rebuild(source, LanceIndex(place), "", faster, OLD.settings)
    assert set(content(LanceIndex(place))) == {"photos/1"}
