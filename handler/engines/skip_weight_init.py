"""Load a torch model without random initialization, and without copying the checkpoint's tensors."""

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
    """Within this block, parameters are not initialized, and `load_state_dict` assigns tensors instead of copying them.

    Use it only for strict loads: a parameter that the checkpoint lacks would stay uninitialized. It patches
    torch.nn.Module, so only one model may be loaded at a time.
    """
    original = torch.nn.Module.load_state_dict
    torch.nn.Module.load_state_dict = partialmethod(original, assign=True)  # type: ignore[method-assign,assignment]
    try:
        with _NoInit():
            yield
    finally:
        torch.nn.Module.load_state_dict = original  # type: ignore[method-assign]
