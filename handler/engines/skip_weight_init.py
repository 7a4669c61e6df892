"""Load a torch model without filling its parameters twice: no random init, and the checkpoint's own memory used."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_RANDOM_FILLS = (torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_)


class _NoInit(TorchFunctionMode):
    """Leaves parameters as they were allocated: untouched pages cost neither time nor memory."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        if func in _RANDOM_FILLS:
            return args[0]
        return func(*args, **kwargs)


@contextmanager
def skip_weight_init() -> Iterator[None]:
    """Within this block modules are built uninitialized and `load_state_dict` takes tensors over instead of copying.

    Only for loads that are strict: a parameter that the checkpoint lacks would stay uninitialized. Patches
    torch.nn.Module, so one load at a time.
    """
    original = torch.nn.Module.load_state_dict
    torch.nn.Module.load_state_dict = partialmethod(original, assign=True)  # type: ignore[method-assign,assignment]
    try:
        with _NoInit():
            yield
    finally:
        torch.nn.Module.load_state_dict = original  # type: ignore[method-assign]
