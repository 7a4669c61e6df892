"""The one place that imports open_clip, also where torchvision's binary does not fit the torch beside it.

A CUDA build of torchvision cannot load its operators on a CPU build of torch, and then `import torchvision` dies
because the operators it describes do not exist. open_clip needs torchvision's image transforms only, so declaring
the names of those operators (without an implementation) is enough. Where the binary loads, nothing is declared.

torch's compiler, a third of the time that open_clip takes, is left until somebody compiles: decorators of timm and
torchvision would bring it. (`handler/engines/import_open_clip.py` does both for the handler, and says more.)
"""

import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any

import torch

from layer.errors import FetchError
from layer.network import environment

_MISSING_OPERATOR = "operator torchvision::nms does not exist"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []  # a Library withdraws its schemas when it is garbage collected


def _import_torchvision() -> None:
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
        _forget_half_imported_torchvision()
        _declare_operators()
        importlib.import_module("torchvision")


def _forget_half_imported_torchvision() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


def _declare_operators() -> None:
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)


@contextmanager
def _without_compiler() -> Iterator[None]:
    utils: Any = ModuleType("torch._dynamo.utils")
    utils.is_compile_supported = lambda device: importlib.import_module(utils.__name__).is_compile_supported(device)
    disable = torch.compiler.disable
    torch.compiler.disable = _as_it_is
    sys.modules[utils.__name__] = utils
    try:
        yield
    finally:
        torch.compiler.disable = disable
        del sys.modules[utils.__name__]


def _as_it_is(fn: Callable[..., Any] | None = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    return _as_it_is if fn is None else fn


@contextmanager
def no_warnings() -> Iterator[None]:
    """Silence open_clip's warning about random weights, for a model that is made only for its shapes."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


try:
    environment.endpoint()  # huggingface_hub takes HF_ENDPOINT apart while it is imported, and dies of it
except FetchError as error:
    sys.exit(f"error: {error}")  # a command imports this before it can tell an error itself
with nullcontext() if "torch._dynamo" in sys.modules else _without_compiler():
    _import_torchvision()
    import open_clip  # only after torchvision is known to import

__all__ = ["no_warnings", "open_clip"]
