"""Record when a start is in which step, from outside: the handler's imports and functions are wrapped, not changed.

Nothing is imported here that the handler would have to wait for, or that would save it an import.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from benchmarks.start.steps import Span

SHARED = ("numpy", "PIL", "tokenizers", "ftfy")
ENGINES = ("onnxruntime", "openvino", "torch", "torchvision", "transformers", "huggingface_hub", "open_clip", "timm")
IMPORTS = {"handler": "handler"} | dict.fromkeys(SHARED, "shared libraries") | dict.fromkeys(ENGINES, "engine")
# What the handler measures itself, by its names (handler.telemetry.invocation.STAGES).
STAGES = {"decode": "image", "preprocess": "image", "tokenize": "tokenizer", "inference": "first run", "load": None}
FUNCTIONS: dict[str, dict[str, str | None]] = {
    "handler.manifest": {"load": "manifest", "_sha256": "manifest"},
    "handler.engines": {"create_engine": "engine"},
    "handler.engines.hf_cache": {"prepare": "cache links"},
    "handler.engines.torch_engine": {"_load_tokenizer": "tokenizer", "_load_model": "both towers"},
    "handler.engines.two_tower": {"load_in_parallel": None},
    "handler.models": {"Models.get": None},
}


class Watch:
    """Collects the spans of one process."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def timed(self, step: str | None, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, which notes when it runs."""

        def run(*arguments: Any, **named: Any) -> Any:
            first = time.monotonic()
            try:
                return function(*arguments, **named)
            finally:
                self.note(step, first)

        return run

    def note(self, step: str | None, first: float) -> None:
        """Record that this thread was in a step from `first` until now."""
        self.spans.append(Span(threading.get_ident(), step, first, time.monotonic()))

    def install(self) -> None:
        """Watch every import from now on."""
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as Python does, and have its import timed."""
        step = IMPORTS.get(name.partition(".")[0])
        spec = PathFinder.find_spec(name, path, target) if step else None
        if spec is None or spec.loader is None:
            return None
        execute = self.timed(step, spec.loader.exec_module)

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._wrap(name, module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def _wrap(self, name: str, module: Any) -> None:
        for place, step in FUNCTIONS.get(name, {}).items():
            holder, _, function = place.rpartition(".")
            owner = getattr(module, holder) if holder else module
            setattr(owner, function, self.timed(step, getattr(owner, function)))
        if name == "handler.telemetry.invocation":
            self._wrap_stages(module.Call)
        elif name == "handler.engines.two_tower":
            self._wrap_towers(module.TwoTowerEngine)
        elif name == "handler.engines.openvino_engine":
            self._wrap_packing(module.Tower)

    def _wrap_stages(self, call: Any) -> None:
        add = call.add

        def noted(record: Any, name: str, seconds: float) -> None:
            if name in STAGES:
                self.note(STAGES[name], time.monotonic() - seconds)
            add(record, name, seconds)

        call.add = noted

    def _wrap_towers(self, engine: Any) -> None:
        init = engine.__init__

        def noted(self_: Any, *arguments: Any, **named: Any) -> None:
            init(self_, *arguments, **named)
            makers = self_._makers
            self_._makers = {modality: self.timed(f"{modality} tower", makers[modality]) for modality in makers}

        engine.__init__ = noted
        engine._read_tokenizer = self.timed("tokenizer", engine._read_tokenizer)

    def _wrap_packing(self, tower: Any) -> None:
        prepack = tower.prepack

        def noted(self_: Any, one_by_one: Any) -> Any:
            modality = "image" if "image" in self_._path.name else "text"
            return self.timed(f"{modality} tower, packing", prepack)(self_, _Waited(one_by_one, self))

        tower.prepack = noted


class _Waited:
    """A lock that records how long each thread waited for it."""

    def __init__(self, lock: Any, watch: Watch) -> None:
        self._lock, self._enter = lock, watch.timed(None, lock.__enter__)

    def __enter__(self) -> Any:
        return self._enter()

    def __exit__(self, *raised: Any) -> None:
        self._lock.__exit__(*raised)
