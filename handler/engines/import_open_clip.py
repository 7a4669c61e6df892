"""Import open_clip without what no request reaches, also beside a torchvision that was built for another torch.

Two thirds of its import is for others: torch's compiler, which decorators of timm and torchvision bring although
nothing is compiled, and transformers, which only some text towers and tokenizers need. Such a torchvision dies at
import for want of its own operators. open_clip uses its transforms only, so the operators' names are declared, without
an implementation, and only where the binary did not load. (`layer/openclip.py` does the same with the compiler and
torchvision for the builder: the two packages share no code.)
"""

import importlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from handler.manifest import ModelEntry

if TYPE_CHECKING:
    import torch

_kept: "list[torch.library.Library]" = []  # a Library takes its schemas along when it is collected


def import_open_clip(models: Iterable[ModelEntry]) -> ModuleType:
    """Return the open_clip module, fit for all these models. Raises what its import raises."""
    if "open_clip" in sys.modules:
        return sys.modules["open_clip"]
    with ExitStack() as hidden:
        hidden.enter_context(without_compiler())
        if "transformers" not in sys.modules and not any(map(needs_transformers, models)):
            hidden.enter_context(_absent_here("transformers"))
        try:
            return importlib.import_module("open_clip")
        except RuntimeError as error:
            if "torchvision::nms does not exist" not in str(error):
                raise
        for name in list(sys.modules):
            if name.split(".")[0] in ("torchvision", "open_clip"):
                del sys.modules[name]  # half imported
        _declare_operators()
        return importlib.import_module("open_clip")


def needs_transformers(entry: ModelEntry) -> bool:
    """Tell whether the model's tokenizer or text tower is one of transformers; yes where its sources are not known."""
    tower = not entry.sources or any("text_config" in source["roles"] for source in entry.sources)
    return tower or entry.tokenizer["kind"] != "simple"


@contextmanager
def without_compiler() -> Iterator[None]:
    """Keep torch's compiler from being imported within: 830 modules, a third of the time that open_clip takes.

    What timm marks as not to be compiled is left unmarked.
    """
    import torch

    if "torch._dynamo" in sys.modules:
        yield
        return
    disable = torch.compiler.disable
    torch.compiler.disable = _as_it_is
    try:
        with _utils_put_off():
            yield
    finally:
        torch.compiler.disable = disable


def _as_it_is(fn: Callable[..., Any] | None = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    return _as_it_is if fn is None else fn


def _is_compile_supported(device_type: str) -> bool:
    """Answer as the real one, which torchvision asks when it aligns regions: never for an embedding."""
    found: bool = importlib.import_module("torch._dynamo.utils").is_compile_supported(device_type)
    return found


# The load runs in a thread, and code of one's own (`handler_ext`) may import what it needs in a request beside it.
# So what is hidden here is hidden from this thread alone, or gives way to the real one.


@contextmanager
def _absent_here(package: str) -> Iterator[None]:
    """Have a package be one that is not installed, for the imports of this thread within."""
    finder = _Absent(package, threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Absent:
    """Of the import system: says that a package is not there, to one thread, and nothing to others."""

    def __init__(self, package: str, thread: int) -> None:
        self._package, self._thread = package, thread

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self._package and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{name} is not imported: no model needs it", name=name)


@contextmanager
def _utils_put_off() -> Iterator[None]:
    """Have the compiler's `utils` be one with what torchvision imports of it; who imports more gets the real one."""
    name = "torch._dynamo.utils"
    utils: Any = ModuleType(name)

    def forward(attribute: str) -> Any:
        if attribute.startswith("__"):  # the import system's own questions
            raise AttributeError(attribute)
        if sys.modules.get(name) is utils:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    utils.is_compile_supported, utils.__getattr__ = _is_compile_supported, forward
    sys.modules[name] = utils
    try:
        yield
    finally:
        if sys.modules.get(name) is utils:
            del sys.modules[name]


def _declare_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(library)
