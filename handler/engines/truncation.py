"""Cut a long text where the request says, with open_clip's own tokenizers, which have no such option for each call."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handler.engines.tokenizer import fitted, refuse


def by_open_clip(tokenizer: Any, texts: Sequence[str], cut: str, facts: Mapping[str, Any]) -> NDArray[np.int64]:
    """Return token ids, int64 [N, context_length], of texts that are cut as `cut`, one of tokenizer.CUTS, says.

    `facts` is the manifest's `tokenizer`. Not thread-safe: the caller holds a lock. Raises TextError for a text that is
    too long if `cut` is "none".
    """
    length = tokenizer.context_length
    if facts["kind"] == "simple":
        ids = np.zeros((len(texts), length), np.int64)
        for row, text in zip(ids, texts, strict=True):
            pieces = fitted(tokenizer.encode(text), length - 2, cut, text)
            row[: len(pieces) + 2] = [tokenizer.sot_token_id, *pieces, tokenizer.eot_token_id]
        return ids
    inner = tokenizer.tokenizer
    whole = inner([tokenizer.clean_fn(text) for text in texts], add_special_tokens=False, truncation=False)["input_ids"]
    if facts.get("mode") == "clips":
        ids = np.full((len(texts), length), inner.pad_token_id, np.int64)
        for row, text, pieces in zip(ids, texts, whole, strict=True):
            found = [inner.bos_token_id, *fitted(pieces, length - 3, cut, text), inner.eos_token_id]
            row[: len(found)] = found
            row[-1] = inner.cls_token_id
        return ids
    for text, pieces in zip(texts, whole, strict=True):
        refuse(len(pieces), length - inner.num_special_tokens_to_add(), cut, text)
    side, inner.truncation_side = inner.truncation_side, "left" if cut == "start" else "right"
    try:
        found_ids: NDArray[np.int64] = tokenizer(list(texts)).numpy()
    finally:
        inner.truncation_side = side
    return found_ids
