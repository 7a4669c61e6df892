"""Import open_clip without what no request reaches, also beside a torchvision that was built for another torch.

Two thirds of its import is for others: torch's compiler, which decorators of timm and torchvision bring although
nothing is compiled, and transformers, which only some text towers and tokenizers need. Such a torchvision dies at
import for want of its own operators. open_clip uses its transforms only, so the operators' names are declared, without
an implementation, and only where the binary did not load. (`layer/openclip.py` does the same with the compiler and
torchvision for the builder: the two packages share no code.)
"""

import importlib
import sys
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
            hidden.enter_context(_put({"transformers": None}))
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
    utils: Any = ModuleType("torch._dynamo.utils")
    utils.is_compile_supported = _is_compile_supported
    disable = torch.compiler.disable
    torch.compiler.disable = _as_it_is
    try:
        with _put({"torch._dynamo.utils": utils}):
            yield
    finally:
        torch.compiler.disable = disable


def _as_it_is(fn: Callable[..., Any] | None = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    return _as_it_is if fn is None else fn


def _is_compile_supported(device_type: str) -> bool:
    """Answer as the real one, which torchvision asks when it aligns regions: never for an embedding."""
    found: bool = importlib.import_module("torch._dynamo.utils").is_compile_supported(device_type)
    return found


@contextmanager
def _put(modules: "dict[str, ModuleType | None]") -> Iterator[None]:
    """Have an import find these within, and the real ones afterwards; None is one that is not installed.

    Code of one's own (`handler_ext`) is imported before an engine is, so that it finds the real ones.
    """
    sys.modules.update(modules)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)


def _declare_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(library)
