"""A model of open_clip on torch's meta device: its shapes alone. Nothing is downloaded, nothing is allocated."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch

from layer.errors import CheckpointError
from layer.openclip import no_warnings, open_clip

_NAME = "on-meta"  # in open_clip's registry for so long


def create(config: Mapping[str, Any], towers: Mapping[str, Any]) -> Any:
    """Return open_clip's model of a config (`model_cfg`), whose tensors have no values.

    `towers` are transformers' configs of text towers by repository. Raises CheckpointError if open_clip cannot create
    such a model.
    """
    with ExitStack() as stack:
        stack.enter_context(patch.dict("open_clip.factory._MODEL_CONFIGS", {_NAME: config}))
        stack.enter_context(torch.device("meta"))
        stack.enter_context(no_warnings())
        if _of_transformers(config):
            stack.enter_context(text_towers_known(towers))
        try:
            return open_clip.create_model(_NAME, device="meta", load_weights=False, pretrained_text=False)
        except Exception as error:
            first_line = (str(error).strip() or "no reason").splitlines()[0][:200]
            raise CheckpointError(
                f"open_clip {open_clip.__version__} cannot build a model of this config ({type(error).__name__}: "
                f"{first_line}): write the fields as they were in training"
            ) from error


def uncompiled(config: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Return a context in which such a model is made, and its tensors worked on, without torch's compiler.

    The compiler takes over half of such a model's time. A text tower of transformers imports it all the same.
    """
    return nullcontext() if _of_transformers(config) else _operators_uncompiled()


@contextmanager
def text_towers_known(towers: Mapping[str, Any]) -> Iterator[None]:
    """Let open_clip take the configs of transformers' text towers from `towers` instead of from the hub."""
    with patch("open_clip.hf_model.AutoConfig.from_pretrained", partial(tower_config, towers)):
        yield


def tower_config(towers: Mapping[str, Any], repo: str) -> Any:
    """Return transformers' config of a text tower, with the defaults of its kind where a field is not written."""
    from transformers import AutoConfig

    return AutoConfig.for_model(**towers[repo])


def _of_transformers(config: Mapping[str, Any]) -> bool:
    return bool(config["text_cfg"].get("hf_model_name"))


@contextmanager
def _operators_uncompiled() -> Iterator[None]:
    """Within this block, operators run on the meta device without an import of torch's compiler.

    They are Python functions of torch's that are marked as not to be compiled, and the mark imports the compiler.
    """
    if "torch._dynamo" in sys.modules:
        yield
        return
    compiler: Any = ModuleType("torch._dynamo")
    compiler.disable = lambda operator, *_, **__: operator
    sys.modules[compiler.__name__] = compiler
    try:
        yield  # torch finds its lazy attribute `_dynamo` here, too
    finally:
        del sys.modules[compiler.__name__]
