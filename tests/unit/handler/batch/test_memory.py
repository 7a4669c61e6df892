"""How much lies in memory at once is bounded by bytes and pixels, however many and however large the images are."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from handler.batch import pipeline
from handler.batch.pipeline import Pipeline
from handler.batch.reader import Found
from handler.batch.rows import Embedded, Row
from handler.engines.threads import thread_count
from handler.imaging.decode import decode_container
from tests.unit.batch_world import png
from tests.unit.fake_bundle import FakeFunction


class Slow:
    """A source that counts how many bytes it gave that were not decoded yet, at most."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size, self._lock = data, size, threading.Lock()
        self.given = self.most = 0

    def read(self, row: Row) -> Found:
        with self._lock:
            self.given += self._size
            self.most = max(self.most, self.given)
        return Found(self._data, row.key, 0)


@pytest.mark.parametrize(
    "listed", [20_000_000, 0]
)  # 0 as in the event of an object that was deleted, and is there again
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
