"""A model's towers are loaded when a request needs them, each once."""

from collections.abc import Collection

import pytest

from handler.models import Models
from handler.settings import Settings
from tests.unit.handler.test_models import FakeEngine, Loads, manifest_of


def test_a_tower_is_loaded_when_it_is_first_needed_and_once() -> None:
    models = Models(manifest_of("a"), Settings(), Loads())
    models.start_in_background().join(10)
    assert models.loaded_ids() == []
    assert models.first_load_seconds is None

    for modalities in (("image",), ("image",), ("text",), ("text", "image")):
        engine = models.get("a", modalities).engine

    assert isinstance(engine, FakeEngine)
    assert engine.loaded == [{"image"}, {"text"}]
    assert models.loaded_ids() == ["a"]
    assert models.first_load_seconds is not None


def test_a_tower_that_cannot_be_loaded_is_tried_again_and_no_other_waits_for_it() -> None:
    class Broken(FakeEngine):
        def load(self, modalities: Collection[str]) -> None:
            if "text" in modalities and not self.loaded:
                self.loaded.append({"failed"})
                raise OSError("text.onnx is damaged")

    models = Models(manifest_of("a"), Settings(), lambda *_: Broken())

    with pytest.raises(OSError, match="damaged"):
        models.get("a", ("text",))
    assert not models.ready("a", ("text",))
    models.get("a", ("image",))
    assert models.ready("a", ("image",))
    models.get("a", ("text",))
    assert models.ready("a", ("text", "image"))


def test_a_model_that_was_released_has_its_towers_loaded_again() -> None:
    models = Models(manifest_of("a", "b"), Settings(model_memory_mb=50), Loads())
    models.get("a", ("image",))
    models.get("b", ("image",))
    assert not models.ready("a", ("image",))

    engine = models.get("a", ("image",)).engine

    assert isinstance(engine, FakeEngine)
    assert engine.loaded == [{"image"}]
