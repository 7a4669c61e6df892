"""Load each model once per execution environment, under a lock, in the background where that saves time."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from handler.engines import Engine, create_engine
from handler.manifest import Manifest, ModelEntry
from handler.preprocess import Preprocess
from handler.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to embed; `load_seconds` is what loading it took, imports included."""

    entry: ModelEntry
    engine: Engine
    preprocess: Preprocess
    load_seconds: float


class Models:
    """The models of one bundle, each loaded when it is first asked for."""

    def __init__(
        self,
        manifest: Manifest,
        settings: Settings,
        create: Callable[[ModelEntry, Manifest, Settings], Engine] = create_engine,
    ) -> None:
        self.manifest = manifest
        self._settings = settings
        self._create = create
        self._loaded: dict[str, LoadedModel] = {}
        self.background_error: Exception | None = None
        # One lock for all: a load patches torch for its duration, and two at once would share the same cores anyway.
        self._lock = threading.Lock()

    def get(self, model_id: str | None = None) -> LoadedModel:
        """Return the model, loading it first if need be; None is the bundle's first.

        Raises ModelNotFoundError for an id the bundle does not have, and whatever the engine raises while loading.
        """
        entry = self.manifest.model(model_id)
        if ready := self._loaded.get(entry.id):
            return ready  # without the lock: a model being loaded must not hold up one that is ready
        with self._lock:
            if entry.id not in self._loaded:
                self._loaded[entry.id] = self._load(entry)
            return self._loaded[entry.id]

    def loaded_ids(self) -> list[str]:
        """Name the models that are in memory, in the order in which they were loaded."""
        return list(self._loaded)

    def start_in_background(self) -> threading.Thread:
        """Start loading the bundle's first model; the first `get` joins by waiting for the same lock."""
        thread = threading.Thread(target=self._load_ahead, name="openclip-load", daemon=True)
        thread.start()
        return thread

    def prime(self) -> None:
        """Load every model and run one image and one text through it, so that a snapshot holds them warm."""
        from PIL import Image

        for entry in self.manifest.models:
            model = self.get(entry.id)
            model.engine.encode_tokens(model.engine.tokenize(["prime"]))
            model.engine.encode_images(model.preprocess(Image.new("RGB", (8, 8)))[None])

    def _load(self, entry: ModelEntry) -> LoadedModel:
        start = time.perf_counter()
        engine = self._create(entry, self.manifest, self._settings)
        preprocess = Preprocess(entry.preprocess, entry.image_size)
        return LoadedModel(entry, engine, preprocess, time.perf_counter() - start)

    def _load_ahead(self) -> None:
        try:
            self.get()
        except Exception as error:
            # Not lost: the health check tells it, and the first request tries again.
            self.background_error = error
            log.exception("loading %s in the background failed", self.manifest.models[0].id)
