"""One execution environment: its settings, its bundle and its models, or the reason why it has none."""

import itertools
import logging
import os
import sys
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from handler import manifest
from handler.errors import ApiError, StartError
from handler.manifest import MODALITIES, ModelEntry
from handler.models import LoadedModel, Models
from handler.settings import Settings
from handler.telemetry.invocation import stage

if TYPE_CHECKING:
    from handler.extensions import Extension

log = logging.getLogger(__name__)

BESIDE = f"{os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}/handler_ext"  # noqa: PTH100, PTH120
INITIALIZATION = "AWS_LAMBDA_INITIALIZATION_TYPE"  # Lambda sets it: one of these, or `on-demand`
SNAP_START = "snap-start"
LOAD_AT_INIT = (SNAP_START, "provisioned-concurrency")  # up to 15 minutes of init, which no request waits for


class Service:
    """What the endpoints need. If the start failed, each request gets the reason: a failed init would not show it."""

    def __init__(
        self,
        settings: Settings,
        models: Models | None,
        problem: str | None = None,
        extension: "Extension | None" = None,
    ) -> None:
        self.settings = settings
        self.extension = extension
        self._models = models
        self._problem = problem
        self.init_seconds = 0.0  # from the start of init until loading began
        self._calls = itertools.count()
        self._in_snapshot = False  # whether several environments are restored from a snapshot of this memory

    @classmethod
    def start(cls, environ: Mapping[str, str] = os.environ, since: float | None = None) -> "Service":
        """Read the settings and the bundle, and load as early as the kind of initialization allows.

        `since` is the `time.monotonic()` at which the cold start began.
        """
        settings = Settings()
        try:
            settings = Settings.from_env(environ)
            extension = load_extension(settings)
            models = Models(manifest.load(settings.bundle_dir), settings, extension=extension)
            service = cls(settings, models, extension=extension)
        except StartError as error:
            log.error("openclip cannot start: %s", error)
            return cls(settings, None, str(error))
        service.init_seconds = time.monotonic() - since if since else 0.0
        service._load_ahead(environ)
        return service

    def _load_ahead(self, environ: Mapping[str, str]) -> None:
        self._in_snapshot = environ.get(INITIALIZATION) == SNAP_START
        if not loads_at_init(environ):
            self.models.start_in_background()  # past 10 s of init on demand, Lambda kills the load and starts again
            return
        try:
            self.models.prime()
        except Exception as error:
            self._problem = _reason(error)
            log.exception("loading at init failed")

    @property
    def models(self) -> Models:
        """The bundle's models. Raises ApiError not_ready, with the reason, where the start failed."""
        if self._models is None:
            raise ApiError("not_ready", self._problem or "not started")
        return self._models

    def entries(self) -> tuple[ModelEntry, ...]:
        """Return the bundle's models; none where the start failed."""
        return self._models.manifest.models if self._models else ()

    def image_formats(self) -> tuple[str, ...]:
        """Return the formats that this package decodes in addition to those of every package; none without a bundle."""
        return self._models.manifest.image_formats if self._models else ()

    def model(self, model_id: str | None, modalities: Collection[str] = MODALITIES) -> LoadedModel:
        """Return a model, after loading what these modalities need and is not loaded yet.

        Raises ApiError: model_not_found, or not_ready with the reason.
        """
        try:
            model = self._get(model_id, modalities)
        except ApiError:
            raise
        except Exception as error:
            self._problem = reason = _reason(error)
            log.exception("loading %s failed", model_id or "the first model")
            raise ApiError("not_ready", f"the model cannot be loaded: {reason}") from error
        self._problem = None
        return model

    def _get(self, model_id: str | None, modalities: Collection[str]) -> LoadedModel:
        if self.models.ready(self.models.manifest.model(model_id).id, modalities):
            return self.models.get(model_id, modalities)
        with stage("load"):
            return self.models.get(model_id, modalities)

    def begin(self) -> bool:
        """Count a call, and tell whether it is the first one of this execution environment."""
        first = next(self._calls) == 0  # atomic: of several threads, exactly one gets 0
        if first and self._in_snapshot and "random" in sys.modules:  # a later import seeds it anyway
            # Otherwise all environments restored from the snapshot draw the same numbers, and retry at the same times.
            sys.modules["random"].seed()
        return first

    @property
    def models_or_none(self) -> Models | None:
        """The bundle's models; None if the start failed."""
        return self._models

    @property
    def problem(self) -> str | None:
        """Why no request can be served at present; None if requests can be served."""
        if self._models and self._models.background_error and not self._models.loaded_ids():
            return _reason(self._models.background_error)
        return self._problem

    def cold_start_seconds(self) -> float | None:
        """Return the seconds from the start of init until the first model could answer; None before.

        The time between init and the first request does not count.
        """
        load = self._models.first_load_seconds if self._models else None
        return None if load is None else round(self.init_seconds + load, 3)


def loads_at_init(environ: Mapping[str, str]) -> bool:
    """Tell whether init may be long, so that everything is loaded in it."""
    return environ.get(INITIALIZATION) in LOAD_AT_INIT


def load_extension(settings: Settings) -> "Extension | None":
    """Import `handler_ext`, the deployment's own code, if the package has it. Raises ExtensionError.

    If there is none, this imports nothing and costs one look at the disk.
    """
    folder = settings.extensions or BESIDE
    if folder == "none" or not (settings.extensions or os.path.isfile(f"{folder}/__init__.py")):  # noqa: PTH113
        return None
    from handler.extensions.loading import load

    return load(os.path.abspath(folder))  # noqa: PTH100 - pathlib is 5 ms of a cold start


def vectors_sha256(settings: Settings) -> str:
    """Name the vectors of the bundle's first model with these settings, without loading it. Raises StartError."""
    extension = load_extension(settings)
    return manifest.load(settings.bundle_dir).vectors_sha256(extension.preprocessing if extension else "")


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, StartError) else f"{type(error).__name__}: {error}"
