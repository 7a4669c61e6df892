"""The index and the vectors in S3: the same results, the same switch, and writers that collide there."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from handler.batch.store import Bucket
from handler.errors import ApiError
from handler.search import lance, updates
from handler.search.lance import LanceIndex
from handler.search.rebuild import rebuild
from handler.search.records import Gone, Item
from handler.search.source import Source
from tests.unit.fake_bundle import image_bytes
from tests.unit.handler.search.test_lance_writers import write
from tests.unit.search_files import history, spread
from tests.unit.search_s3 import BUCKET, served
from tests.unit.search_world import ABOUT, QUERY, SearchFunction, content, expected, item

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with served() as (client, _):
        yield client


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance, "FRESH_SECONDS", 0.0)


def test_the_command_builds_an_index_in_a_bucket(s3: Any) -> None:
    records = history(120)
    files = spread(records, 5)
    for name, data in files.items():
        s3.put_object(Bucket=BUCKET, Key=f"built/{name}", Body=data)
    place = f"s3://{BUCKET}/built/index"
    command = [sys.executable, "-m", "handler.search", "rebuild", "--vectors", f"s3://{BUCKET}/built", "--index", place]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"; the index is {place}\n")
    index = LanceIndex(place)
    assert content(index) == expected(records)
    assert index.about() == ABOUT
    more: list[Item | Gone] = [item("new", QUERY, 9), Gone(records[0].bucket, records[0].key, 9)]
    for name, data in spread(more, 1, about=ABOUT._replace(model="tests/vectors")).items():
        s3.put_object(Bucket=BUCKET, Key=name, Body=data)
        updates.apply(Bucket(s3, BUCKET), [name], index)
    assert content(index) == expected([*records, *more])


@pytest.mark.parametrize("prefix", ["my vectors", "a#b?c", "50 %/ü+é", "a%20b"])
def test_vectors_are_found_under_every_prefix_that_s3_has(s3: Any, prefix: str) -> None:
    files = spread(history(20), 2)
    for name, data in files.items():
        s3.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=data)
    source = Source(f"s3://{BUCKET}/{prefix}")
    assert {name: source.read(name) for name in source.listed().names} == files


@pytest.mark.parametrize(
    "strange", ["vectors/m//x.parquet", "vectors//m/x.parquet", "vectors/../../x.parquet", "vectors/"]
)
def test_a_key_that_is_no_path_of_a_file_stops_no_rebuild(s3: Any, tmp_path: Path, strange: str) -> None:
    """S3 takes any key, and a console makes a folder of an empty object."""
    prefix, records = tmp_path.name, history(20)
    for name, data in {**spread(records, 2), strange: b"PAR1"}.items():
        s3.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=data)
    index = LanceIndex(str(tmp_path))
    made = rebuild(Source(f"s3://{BUCKET}/{prefix}"), index)
    assert content(index) == expected(records)
    assert made.left_out == (strange != "vectors/")


def test_writers_of_an_index_in_a_bucket_lose_nothing(s3: Any) -> None:
    place, writers, rounds = f"s3://{BUCKET}/written", 3, 2
    threads = [threading.Thread(target=write, args=(place, number, rounds)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = LanceIndex(place).table().to_arrow()["id"].to_pylist()
    assert len(ids) == len(set(ids))
    assert {f"photos/{one}-{turn}" for one in range(writers) for turn in range(rounds)} <= set(ids)


def test_a_bucket_that_is_not_there_is_told(s3: Any) -> None:
    with pytest.raises(ApiError) as caught:
        LanceIndex("s3://nobodys-bucket/index").query(QUERY, ABOUT, 1)
    assert caught.value.code == "index_unavailable"
    assert "nobodys-bucket" in caught.value.message
    with pytest.raises(ApiError) as caught:
        LanceIndex(f"s3://{BUCKET}/nothing").query(QUERY, ABOUT, 1)
    assert caught.value.code == "index_not_found"


def test_a_hit_of_an_allowed_bucket_has_a_url_that_gives_the_object(s3: Any, tmp_path: Path) -> None:
    key = "2026/a b+ü%.png"
    s3.put_object(Bucket=BUCKET, Key=key, Body=image_bytes())
    function = SearchFunction(tmp_path / "bundle", str(tmp_path / "index"), (BUCKET,))
    entries = [{"bucket": bucket, "key": key, "vector": [1, 0, 0, 0]} for bucket in (BUCKET, "secret", "")]
    assert function.change({"put": entries})[0] == 200
    hits = function.search({"query": "a", "with_urls": True})[1]["data"]
    urls = {hit["bucket"]: hit.get("url") for hit in hits}
    assert (urls["secret"], urls[""]) == (None, None)
    assert urlopen(urls[BUCKET]).read() == image_bytes()
    parameters = parse_qs(urlsplit(urls[BUCKET]).query)
    assert parameters["X-Amz-Expires"] == ["900"]
    assert parameters["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert ["url" in hit for hit in function.search({"query": "a"})[1]["data"]] == [False] * 3


def test_urls_are_refused_where_no_bucket_may_have_them(tmp_path: Path) -> None:
    function = SearchFunction(tmp_path / "bundle", str(tmp_path / "index"))
    status, body = function.search({"query": "a", "with_urls": True})
    assert (status, body["error"]["code"], body["error"]["param"]) == (400, "urls_not_enabled", "with_urls")
    assert "OPENCLIP_SEARCH_URL_BUCKETS" in body["error"]["message"]
