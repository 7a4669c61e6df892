"""Load each model once, under a lock, in the background where that saves time; release the least recently used."""

import gc
import itertools
import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple

from handler.engines import Engine, create_engine
from handler.manifest import MODALITIES, Manifest, ModelEntry
from handler.settings import MB, Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from handler.extensions import Extension
    from handler.extensions.preprocessing import OwnPreprocessing
    from handler.imaging.preprocess import Preprocess
    from handler.imaging.reduced import Decoded, Fit

log = logging.getLogger(__name__)


class LoadedModel(NamedTuple):
    """A model ready to embed; `load_seconds` is the time that loading took, imports included.

    `fit` lets large JPEGs be decoded at a reduced scale; None if they are decoded in full. `image_formats` are the
    formats that this package decodes in addition to those of every package.
    """

    entry: ModelEntry
    engine: Engine
    preprocess: "Preprocess"
    load_seconds: float
    fit: "Fit | None" = None
    image_formats: tuple[str, ...] = ()
    own: "OwnPreprocessing | None" = None  # the deployment's own preprocessing, which runs before ours

    def pixels(self, decoded: "Decoded", out: "NDArray[np.float32] | None" = None) -> "NDArray[np.float32]":
        """Return an image as the engine takes it, float32 [3, H, W], in `out` if that is given. Raises ImageError."""
        if self.own is not None:
            image = self.own.image(decoded.image)
            decoded = decoded._replace(image=image, size=image.size, box=(0, 0, *image.size))
        return self.preprocess.of(decoded, out)


class Models:
    """The models of one bundle, each loaded when it is first asked for."""

    def __init__(
        self,
        manifest: Manifest,
        settings: Settings,
        create: Callable[[ModelEntry, Manifest, Settings], Engine] = create_engine,
        extension: "Extension | None" = None,
    ) -> None:
        self.manifest = manifest
        self._preprocessing = extension if extension and extension.preprocessing else None
        self._settings = settings
        self._create = create
        self._loaded: dict[str, LoadedModel] = {}
        self._ready: dict[str, frozenset[str]] = {}  # by id: the modalities whose tower is loaded
        self._used: dict[str, int] = {}  # by id: a number that grows with every use
        self._clock = itertools.count()
        self._sizes = _sizes(manifest)
        self.first_load_seconds: float | None = None
        self.background_error: Exception | None = None
        # One lock for all: a load patches torch for its duration, and two at once would share the same cores anyway.
        self._lock = threading.Lock()

    def get(self, model_id: str | None = None, modalities: Collection[str] = MODALITIES) -> LoadedModel:
        """Return a model, after loading what these modalities need; `model_id` None means the bundle's first model.

        Raises ModelNotFoundError for an id that the bundle does not have, and whatever the engine raises while loading.
        """
        entry = self.manifest.model(model_id)
        self._used[entry.id] = next(self._clock)
        if (ready := self._loaded.get(entry.id)) and self.ready(entry.id, modalities):
            return ready  # without the lock: a request for a loaded model must not wait until another one is loaded
        with self._lock:
            if entry.id not in self._loaded:
                self._make_room(entry)
                self._loaded[entry.id] = self._load(entry)
            if modalities and not self.ready(entry.id, modalities):
                self._loaded[entry.id] = _with(self._loaded[entry.id], modalities)
                self._ready[entry.id] = self._ready.get(entry.id, frozenset()) | frozenset(modalities)
                self.first_load_seconds = self.first_load_seconds or self._loaded[entry.id].load_seconds
            return self._loaded[entry.id]

    def ready(self, model_id: str, modalities: Collection[str]) -> bool:
        """Tell whether a model is in memory with the towers of all these modalities."""
        return self._ready.get(model_id, frozenset()).issuperset(modalities)

    def loaded_ids(self) -> list[str]:
        """Return the ids of the models that have at least one tower in memory, in the order of loading."""
        return [model_id for model_id in self._loaded if self._ready.get(model_id)]

    def vectors_sha256(self, model_id: str | None = None) -> str:
        """Name the vectors that a model of this deployment makes, None means the bundle's first: 64 hex digits."""
        own = self._preprocessing.preprocessing if self._preprocessing else ""
        return self.manifest.vectors_sha256(own, model_id)

    def engine_facts(self, entry: ModelEntry) -> dict[str, object]:
        """Return what the health check reports of a model's engine on this host; the manifest has the other facts."""
        model = self._loaded.get(entry.id)
        compiled: dict[str, str] = getattr(model.engine, "compiled", dict)() if model else {}
        facts = {"compiled": compiled, "variants": model.engine.variants() if model else {}}
        return {name: by_tower for name, by_tower in facts.items() if by_tower}

    def start_in_background(self) -> threading.Thread:
        """Import the engine of the bundle's first model in a thread, under the lock that the first `get` waits for.

        The exported engines load no tower here: only the first request shows which ones are needed. torch loads both.
        """
        thread = threading.Thread(target=self._load_ahead, name="openclip-load", daemon=True)
        thread.start()
        return thread

    def prime(self) -> None:
        """Load as many models as OPENCLIP_MODEL_MEMORY_MB allows, and run one image and one text through each.

        The bundle's first models go first. A snapshot then contains warm models.
        """
        from PIL import Image

        for entry in self.manifest.models:
            if self._loaded and not self._fits(entry):
                continue
            model = self.get(entry.id)
            model.engine.encode_tokens(model.engine.tokenize(["prime"]))
            model.engine.encode_images(model.preprocess(Image.new("RGB", (8, 8)))[None])
        gc.collect()  # handler/app.py has disabled the collector, and next freezes every object that is left

    def _make_room(self, entry: ModelEntry) -> None:
        """Release the least recently used models until `entry` fits. A call that is using one keeps it until it ends.

        They are released before the load, so that old and new never have to fit together. A model that exceeds the
        limit alone is loaded all the same: then the function's memory decides, and Lambda reports if it is too small.
        """
        while self._loaded and not self._fits(entry):
            oldest = min(self._loaded, key=lambda model_id: self._used[model_id])
            del self._loaded[oldest]
            self._ready.pop(oldest, None)
            gc.unfreeze()  # handler/app.py froze the models that were loaded during init
            gc.collect()  # torch's modules refer to each other
            log.info("released %s: %s does not fit beside it", oldest, entry.id)

    def _fits(self, entry: ModelEntry) -> bool:
        held = sum(self._sizes[model_id] for model_id in self._loaded)
        limit = self._settings.model_memory_mb * MB
        return not limit or held + self._sizes[entry.id] <= limit

    def _load(self, entry: ModelEntry) -> LoadedModel:
        start = time.perf_counter()
        engine = self._create(entry, self.manifest, self._settings)
        facts: dict[str, object] = getattr(engine, "token_facts", dict)()
        if facts:
            entry = entry._replace(tokenizer={**entry.tokenizer, **facts})
        from handler.imaging.preprocess import Preprocess  # late: Pillow can be imported while the engine loads

        own = self._own(entry)
        reduced = (self._settings.jpeg_decoding or entry.jpeg_decoding) == "reduced" and own is None
        preprocess = Preprocess(entry.preprocess, entry.image_size, reduced)
        fit = preprocess.fitted if reduced else None
        seconds = time.perf_counter() - start
        return LoadedModel(entry, engine, preprocess, seconds, fit, self.manifest.image_formats, own)

    def _own(self, entry: ModelEntry) -> "OwnPreprocessing | None":
        if self._preprocessing is None:
            return None
        from handler.extensions.preprocessing import OwnPreprocessing
        from handler.imaging.as_decoded import as_decoded

        return OwnPreprocessing(self._preprocessing, entry, self._settings, as_decoded)

    def _load_ahead(self) -> None:
        try:
            self.get(modalities=())
        except Exception as error:
            # Not lost: the health check reports it, and the first request tries again.
            self.background_error = error
            log.exception("loading %s in the background failed", self.manifest.models[0].id)


def _with(model: LoadedModel, modalities: Collection[str]) -> LoadedModel:
    start = time.perf_counter()
    model.engine.load(modalities)
    return model._replace(load_seconds=model.load_seconds + time.perf_counter() - start)


def _sizes(manifest: Manifest) -> dict[str, int]:
    """Sum each model's files, in bytes, by id: an upper bound of the memory that its mapped weights take."""
    sizes = {entry.slug: 0 for entry in manifest.models}
    for file in manifest.files:
        slug = file.path.removeprefix("models/").partition("/")[0]
        if slug in sizes:
            sizes[slug] += file.size
    return {entry.id: sizes[entry.slug] for entry in manifest.models}
