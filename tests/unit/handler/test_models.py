"""One load per model and execution environment, whoever asks first and however many at once."""

import gc
import threading
import time
import weakref
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from handler.errors import ModelNotFoundError
from handler.manifest import BundleFile, Golden, Manifest, ModelEntry
from handler.models import Models
from handler.settings import Settings

PREPROCESS = {
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "interpolation": "bicubic",
    "resize_mode": "squash",
    "fill_color": 0,
}


class FakeEngine:
    def __init__(self) -> None:
        self.images: list[tuple[int, ...]] = []
        self.texts: list[Sequence[str]] = []
        self.itself: FakeEngine | None = None
        self.loaded: list[set[str]] = []

    def load(self, modalities: Collection[str]) -> None:
        self.loaded.append(set(modalities))

    def tokenize(self, texts: Sequence[str], cut: str | None = None) -> NDArray[np.int64]:
        self.texts.append(texts)
        return np.zeros((len(texts), 4), np.int64)

    def variants(self) -> dict[str, str]:
        return {}

    def encode_tokens(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.ones((len(ids), 2), np.float32)

    def encode_images(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        self.images.append(pixels.shape)
        return np.ones((len(pixels), 2), np.float32)


class Loads:
    """Stands in for the engine's loading: counts, takes a moment, and can be told to fail."""

    def __init__(self, failures: int = 0) -> None:
        self.names: list[str] = []
        self.failures = failures
        self.hold = threading.Event()
        self.hold.set()

    def __call__(self, entry: ModelEntry, manifest: Manifest, settings: Settings) -> FakeEngine:
        self.names.append(entry.id)
        self.hold.wait(10)
        time.sleep(0.02)
        if len(self.names) <= self.failures:
            raise MemoryError("no room")
        return FakeEngine()


def manifest_of(*ids: str) -> Manifest:
    golden = Golden([], [], [], [], [])
    entries = [
        ModelEntry(model_id, model_id, model_id, None, "torch", "fp32", 2, (8, 8), 4, 1.0, None, PREPROCESS, {}, golden)
        for model_id in ids
    ]
    files = [BundleFile(f"models/{model_id}/weights", 40_000_000, "0" * 64) for model_id in ids]
    return Manifest(Path(), b"", tuple(entries), tuple(files))


def test_many_first_requests_share_one_load() -> None:
    loads = Loads()
    models = Models(manifest_of("a"), Settings(), loads)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: models.get("a"), range(8)))

    assert loads.names == ["a"]
    assert all(model is found[0] for model in found)


def test_the_first_request_joins_the_load_that_began_at_init() -> None:
    loads = Loads()
    loads.hold.clear()
    models = Models(manifest_of("a"), Settings(), loads)
    thread = models.start_in_background()
    threading.Timer(0.05, loads.hold.set).start()

    model = models.get()

    thread.join(10)
    assert loads.names == ["a"]
    assert (model.entry.id, models.loaded_ids()) == ("a", ["a"])


def test_a_ready_model_answers_while_another_is_still_loading() -> None:
    loads = Loads()
    models = Models(manifest_of("a", "b"), Settings(), loads)
    models.get("a")
    loads.hold.clear()
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(models.get, "b")

        assert models.get("a").entry.id == "a"
        assert not loading.done()

        loads.hold.set()
        assert loading.result(10).entry.id == "b"


def test_a_failed_background_load_is_logged_and_the_request_tries_again(caplog: pytest.LogCaptureFixture) -> None:
    models = Models(manifest_of("a"), Settings(), Loads(failures=2))
    models.start_in_background().join(10)

    assert "loading a in the background failed" in caplog.text
    with pytest.raises(MemoryError, match="no room"):
        models.get()
    assert models.get().entry.id == "a"


def test_priming_loads_every_model_and_runs_one_text_and_one_image_through_each() -> None:
    loads = Loads()
    models = Models(manifest_of("a", "b"), Settings(), loads)

    models.prime()

    assert loads.names == ["a", "b"]
    for name in ("a", "b"):
        engine = models.get(name).engine
        assert isinstance(engine, FakeEngine)
        assert engine.images == [(1, 3, 8, 8)]
        assert engine.texts == [["prime"]]


def test_priming_leaves_no_garbage_for_the_snapshot() -> None:
    left: list[weakref.ref[FakeEngine]] = []

    def load(entry: ModelEntry, manifest: Manifest, settings: Settings) -> FakeEngine:
        garbage = FakeEngine()
        garbage.itself = garbage
        left.append(weakref.ref(garbage))
        return FakeEngine()

    gc.disable()  # as handler/app.py does
    try:
        Models(manifest_of("a"), Settings(), load).prime()
    finally:
        gc.enable()

    assert [garbage() for garbage in left] == [None]


def test_an_unknown_model_loads_nothing() -> None:
    loads = Loads()

    with pytest.raises(ModelNotFoundError, match="no model 'c': this bundle has a, b"):
        Models(manifest_of("a", "b"), Settings(), loads).get("c")
    assert loads.names == []


def test_without_a_limit_every_model_stays() -> None:
    models = Models(manifest_of("a", "b", "c"), Settings(), Loads())

    for name in "abc":
        models.get(name)

    assert models.loaded_ids() == ["a", "b", "c"]


def test_past_the_limit_the_least_recently_used_model_goes_and_comes_back_when_asked_for() -> None:
    loads = Loads()
    models = Models(manifest_of("a", "b", "c"), Settings(model_memory_mb=100), loads)
    models.get("a")
    models.get("b")
    models.get("a")

    models.get("c")

    assert models.loaded_ids() == ["a", "c"]
    models.get("b")
    assert models.loaded_ids() == ["c", "b"]
    assert loads.names == ["a", "b", "c", "b"]


@pytest.mark.parametrize("frozen", [False, True], ids=["loaded later", "loaded while the handler was imported"])
def test_a_released_model_frees_its_memory_before_the_next_is_loaded(frozen: bool) -> None:
    freed: list[bool] = []

    def load(entry: ModelEntry, manifest: Manifest, settings: Settings) -> FakeEngine:
        if entry.id == "b":
            freed.append(first() is None)
        engine = FakeEngine()
        engine.itself = engine  # as torch's modules refer to each other
        return engine

    models = Models(manifest_of("a", "b"), Settings(model_memory_mb=50), load)
    first = weakref.ref(models.get("a").engine)
    if frozen:
        gc.freeze()  # as handler/app.py does

    models.get("b")

    assert freed == [True]


def test_a_model_larger_than_the_limit_is_loaded_alone() -> None:
    models = Models(manifest_of("a", "b"), Settings(model_memory_mb=10), Loads())

    models.get("a")
    models.get("b")

    assert models.loaded_ids() == ["b"]


def test_priming_stops_where_the_memory_does() -> None:
    models = Models(manifest_of("a", "b", "c"), Settings(model_memory_mb=90), Loads())

    models.prime()

    assert models.loaded_ids() == ["a", "b"]
