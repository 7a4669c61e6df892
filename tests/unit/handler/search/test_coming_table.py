"""What is written beside a rebuild is in the table that becomes the index, too, if it is of that table's model.

And what is looked for beside one is looked for in a table of its own model, or not at all.
"""

from pathlib import Path
from typing import Any

import pytest

from handler.batch.store import Directory
from handler.errors import ApiError
from handler.search import lance, lance_table, queries, rebuild, updates
from handler.search.lance import LanceIndex
from handler.search.records import About, Gone
from handler.search.source import Source
from tests.unit.search_files import history, lines, parquet, save, spread
from tests.unit.search_world import ABOUT, QUERY, SearchFunction, item

COMING = "items-20261127T120000-00000000"
OTHER = ABOUT._replace(manifest_sha256="cd" * 32)


def announced(place: Path, about: About) -> LanceIndex:
    """Return an index, beside which a rebuild has announced an empty table."""
    rebuild.rebuild(Source(str(save(spread(history(30), 2), place / "vectors"))), LanceIndex(str(place / "index")))
    index = LanceIndex(str(place / "index"))
    index.database().create_table(COMING, schema=lance_table.schema(about))
    index.pointer.announce(COMING)
    return index


def test_a_file_that_came_just_before_the_switch_is_in_the_index_of_a_rebuild_that_was_killed_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, folder = str(tmp_path / "index"), save(spread(history(30), 2), tmp_path / "vectors")
    rebuild.rebuild(Source(str(folder)), LanceIndex(place))
    late, gone = "vectors/model=x/run=arrivals/late.parquet", "deletions/model=x/run=arrivals/late.jsonl"
    switch = LanceIndex.switch

    def killed(self: LanceIndex, name: str) -> str | None:
        save(
            {late: parquet([item("late", QUERY, 9), item("lost", QUERY, 8)]), gone: lines([Gone("photos", "lost", 9)])},
            folder,
        )
        updates.apply(Directory(folder), [late, gone], LanceIndex(place))
        switch(self, name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LanceIndex, "switch", killed)
        with pytest.raises(KeyboardInterrupt):
            rebuild.rebuild(Source(str(folder)), LanceIndex(place))
    index = LanceIndex(place)
    assert (index.has("photos", "late"), index.has("photos", "lost")) == (True, False)

    index.put([item("later", QUERY, 9)], ABOUT)
    rebuild.rebuild(Source(str(folder)), LanceIndex(place))
    assert not (tmp_path / "index" / "coming.json").exists()


def test_a_table_that_was_announced_and_is_not_there_stops_no_writer(tmp_path: Path) -> None:
    """As where a rebuild was killed before its switch, and the next one dropped what it left."""
    place = str(tmp_path / "index")
    rebuild.rebuild(Source(str(save(spread(history(30), 2), tmp_path / "vectors"))), LanceIndex(place))
    index = LanceIndex(place)
    index.pointer.announce("items-20261127T120000-00000000")
    index.put([item("late", QUERY, 9)], ABOUT)
    assert index.has("photos", "late")


def test_a_change_that_the_coming_table_does_not_take_is_told_to_who_writes_it(tmp_path: Path) -> None:
    """The rebuild has listed its files, and may be killed behind its switch: the change would be lost."""
    index = announced(tmp_path, ABOUT)
    versions = tmp_path / "index" / f"{COMING}.lance" / "_versions"
    away = versions.rename(versions.with_name("away"))  # as where the store does not answer for it
    with pytest.raises(ApiError) as refused:
        index.put([item("late", QUERY, 9)], ABOUT)
    assert refused.value.code == "index_unavailable"
    away.rename(versions)
    index.put([item("late", QUERY, 9)], ABOUT)
    assert LanceIndex(index.place, COMING).has("photos", "late")


def test_a_coming_table_of_another_model_takes_deletions_and_no_vectors(tmp_path: Path) -> None:
    index, coming = announced(tmp_path, OTHER), LanceIndex(str(tmp_path / "index"), COMING)
    coming.put([item("old", QUERY, 1)], OTHER)
    index.put([item("late", QUERY, 9)], ABOUT)
    index.delete([Gone("photos", "old", 9)])
    assert (index.has("photos", "late"), coming.has("photos", "late"), coming.has("photos", "old")) == (
        True,
        False,
        False,
    )


def test_vectors_are_refused_where_the_index_was_switched_to_another_model_since_it_was_looked_at(
    tmp_path: Path,
) -> None:
    """Both models have vectors of one length: nothing else would tell them apart."""
    index = announced(tmp_path, OTHER)
    index.prepare(ABOUT)
    index.switch(COMING)
    with pytest.raises(ApiError) as refused:
        index.put([item("late", QUERY, 9)], ABOUT)
    assert (refused.value.code, index.count()) == ("index_of_another_model", 0)


def test_a_vector_is_not_looked_for_in_an_index_that_was_switched_to_another_model(tmp_path: Path) -> None:
    index = announced(tmp_path, OTHER)
    LanceIndex(index.place, COMING).put([item("theirs", QUERY, 1)], OTHER)
    index.switch(COMING)
    assert [hit.key for hit in index.query(QUERY, OTHER, 1)] == ["theirs"]
    with pytest.raises(ApiError) as refused:
        index.query(QUERY, ABOUT, 1)
    assert (refused.value.code, refused.value.status) == ("index_of_another_model", 409)


def test_a_search_that_is_overtaken_by_a_switch_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model takes seconds to load, between the look at the index and the query."""
    function = SearchFunction(tmp_path / "bundle", str(tmp_path / "index"))
    assert function.change({"put": [{"key": "mine.png", "vector": [1, 0, 0, 0]}]})[0] == 200
    index = LanceIndex(str(tmp_path / "index"))
    other = index.about()._replace(manifest_sha256="cd" * 32)
    index.database().create_table(COMING, schema=lance_table.schema(other))
    LanceIndex(index.place, COMING).put([item("theirs.png", [1, 0, 0, 0])], other)
    combined = queries.combined

    def overtaken(*given: Any) -> Any:
        index.switch(COMING)
        return combined(*given)

    monkeypatch.setattr(queries, "combined", overtaken)
    status, body = function.search({"query": "a"})
    assert (status, body["error"]["code"]) == (409, "index_of_another_model")


def test_what_is_written_while_the_index_is_switched_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rebuild has listed its files, and taken its announcement back, between the write and its end."""
    index = announced(tmp_path, ABOUT)
    index.pointer.withdraw(COMING)
    repeated, other = lance._repeated, LanceIndex(index.place)

    def overtaken(action: Any) -> Any:
        done = repeated(action)
        if other.table().name != COMING:
            other.switch(COMING)
        return done

    monkeypatch.setattr(lance, "_repeated", overtaken)
    index.put([item("late", QUERY, 9)], ABOUT)
    assert (LanceIndex(index.place).table().name, other.has("photos", "late")) == (COMING, True)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"index": "items-1"}', b"\xff"])
@pytest.mark.parametrize("name", ["current.json", "coming.json"])
def test_a_damaged_file_beside_the_tables_is_named_with_what_to_do(tmp_path: Path, name: str, content: bytes) -> None:
    folder, place = save(spread(history(30), 2), tmp_path / "vectors"), str(tmp_path / "index")
    rebuild.rebuild(Source(str(folder)), LanceIndex(place))
    (tmp_path / "index" / name).write_bytes(content)

    with pytest.raises(ApiError) as refused:
        LanceIndex(place).put([item("late", QUERY, 9)], ABOUT)
    told = f"{name} of the index at {place} is damaged: restore it, or remove it and build the index again: `"
    assert (refused.value.code, refused.value.message[: len(told)]) == ("index_unavailable", told)

    (tmp_path / "index" / name).unlink()
    rebuild.rebuild(Source(str(folder)), LanceIndex(place))
    assert LanceIndex(place).counts() == rebuild.rebuild(Source(str(folder)), LanceIndex(str(tmp_path / "other")))[:2]
