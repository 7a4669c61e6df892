"""Import open_clip without parts that no request needs, and also with a torchvision that was built for another torch.

Two thirds of the import time are for torch's compiler, which decorators of timm and torchvision import although nothing
is compiled, and for transformers, which only some text towers and tokenizers need. A torchvision whose binary does not
fit the torch beside it fails at import, because its operators are missing. open_clip only uses its transforms, so in
that case the operators are declared by name, without an implementation. (`layer/openclip.py` does the same with the
compiler and torchvision for the builder: the two packages share no code.)
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

_kept: "list[torch.library.Library]" = []  # kept alive: when a Library is collected, its operators are removed


def import_open_clip(models: Iterable[ModelEntry]) -> ModuleType:
    """Return the module open_clip, with everything that these models need. Raises what its import raises."""
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
    """Tell whether the model's tokenizer or text tower needs transformers; true if its sources are not known."""
    tower = not entry.sources or any("text_config" in source["roles"] for source in entry.sources)
    return tower or entry.tokenizer["kind"] != "simple"


@contextmanager
def without_compiler() -> Iterator[None]:
    """Within this block, torch's compiler is not imported: it has 830 modules, a third of open_clip's import time.

    timm's marks for functions that must not be compiled have no effect then.
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
    """Call the real function. torchvision asks it when it aligns regions, which no embedding does."""
    found: bool = importlib.import_module("torch._dynamo.utils").is_compile_supported(device_type)
    return found


# The load runs in a thread, and the deployment's own code (`handler_ext`) may import modules in another one meanwhile.
# So modules are hidden from this thread only, or are replaced by the real ones when another thread uses them.


@contextmanager
def _absent_here(package: str) -> Iterator[None]:
    """Within this block, a package appears as not installed to the imports of this thread."""
    finder = _Absent(package, threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Absent:
    """A finder of the import system that reports a package as not installed, to one thread only."""

    def __init__(self, package: str, thread: int) -> None:
        self._package, self._thread = package, thread

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self._package and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{name} is not imported: no model needs it", name=name)


@contextmanager
def _utils_put_off() -> Iterator[None]:
    """Replace the compiler's `utils` by a module with the one function that torchvision imports.

    Any other attribute comes from the real module, which is imported then.
    """
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
