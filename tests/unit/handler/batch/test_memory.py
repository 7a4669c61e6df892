"""How much lies in memory at once is bounded by bytes and pixels, however many and however large the images are."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from handler.batch import pipeline
from handler.batch.pipeline import Pipeline
from handler.batch.reader import AT_ONCE, BucketReader, FolderReader, Found, LargerError, OneByOne
from handler.batch.rows import Embedded, Failed, Row
from handler.engines.threads import thread_count
from handler.errors import ApiError
from handler.imaging.decode import decode_container
from tests.unit.batch_world import png
from tests.unit.fake_bundle import FakeFunction


class Slow:
    """A source that counts how many bytes it gave that were not decoded yet, at most."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size, self._lock = data, size, threading.Lock()
        self.given = self.most = 0

    def read(self, row: Row, room: int) -> Found:
        if self._size > room:
            raise LargerError(row.key)
        with self._lock:
            self.given += self._size
            self.most = max(self.most, self.given)
        return Found(self._data, row.key, 0)


@pytest.mark.parametrize(
    "listed",
    [
        20_000_000,
        0,  # as in the event of an object that was deleted, and is there again
        1000,  # as in the event of a small object that was replaced by a large one
    ],
)
def test_files_wait_for_a_decoder_within_the_bytes_that_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: int
) -> None:
    size = 20_000_000
    service = FakeFunction(tmp_path / "bundle").service
    model, source = service.model(None), Slow(png(1), size)

    def slow(*of: Any) -> Any:
        time.sleep(0.002)
        with source._lock:
            source.given -= size
        return decode_container(*of)

    monkeypatch.setattr("handler.batch.pipeline.decode_container", slow)
    rows = [Row("", str(number), listed, 0) for number in range(100)]
    results = list(Pipeline(model, source, service.settings).embed(rows))
    assert all(isinstance(item, Embedded) for item in results)
    decoders = thread_count(service.settings)
    assert source.most <= pipeline.HELD_BYTES + (2 * decoders + 2) * size


class Away:
    """A source without objects, that lets nobody in until many have asked."""

    def __init__(self, together: int) -> None:
        self._barrier = threading.Barrier(together)

    def read(self, row: Row, _: int) -> Found:
        self._barrier.wait(60)  # breaks, as an error, where fewer are asked for at once
        raise ApiError("object_not_found", f"{row.key} is not there")


def test_objects_that_are_gone_are_asked_for_together(tmp_path: Path) -> None:
    """The event of a deletion says no size, and there are no bytes to wait for."""
    service = FakeFunction(tmp_path / "bundle").service
    rows = [Row("", str(number), 0, 0) for number in range(2 * AT_ONCE)]
    results = Pipeline(service.model(None), Away(AT_ONCE), service.settings).embed(rows)
    assert [item.code for item in results if isinstance(item, Failed)] == ["object_not_found"] * len(rows)


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_a_reader_reads_nothing_of_an_object_for_which_there_is_no_room(tmp_path: Path, place: str) -> None:
    (tmp_path / "a.png").write_bytes(b"0123456789")
    body = Mock(read=Mock(return_value=b"0123456789"))
    answer = {"Body": body, "ContentLength": 10, "ETag": '"e"', "LastModified": datetime.now(UTC)}
    client = Mock(get_object=Mock(return_value=answer))
    reader: Any = FolderReader(tmp_path, 100) if place == "folder" else BucketReader(client, 100)
    row = Row("bucket", "a.png", 0, 0)
    with pytest.raises(LargerError):
        OneByOne(reader).read(row, 9)
    assert not body.read.called
    assert place == "folder" or body.close.called  # or its connection would be of no use to another
    assert reader.read(row, 10).data == b"0123456789"


def test_so_many_pixels_are_decoded_at_once_and_one_image_of_more_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, lock, two = pipeline.Gate(100), threading.Lock(), threading.Barrier(2)
    inside, most = 0, 0

    def hold(size: int, meet: bool = True) -> None:
        nonlocal inside, most
        with gate.hold(size):
            with lock:
                inside += size
                most = max(most, inside)
            if meet:
                two.wait(60)  # breaks, as an error, where a second one is not let in
            time.sleep(0.002)  # in which a third one would come
            with lock:
                inside -= size

    threads = [threading.Thread(target=hold, args=(size,)) for size in [40] * 20]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 80
    hold(1000, meet=False)
    assert most == 1000
