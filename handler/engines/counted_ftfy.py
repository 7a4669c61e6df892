"""ftfy, with each step of its search for mojibake counted before it is made. Imported late, it takes 40 ms.

One step costs what the text's length says, but their number does not: some texts are decoded a few characters a step.
"""

import re
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import ftfy
from ftfy.badness import is_bad

if TYPE_CHECKING:
    from collections.abc import Iterator

SEARCH = 6  # times the cost of any other pass: a text that looks like mojibake is tried in each of ten encodings
TRY = 10  # characters: what finding the right encoding costs beside the length of the text ...
VAIN = 240  # ... and trying all of them, where none is right

_BAD_START = re.compile("^[ÃÂ] ", re.MULTILINE)  # the one rule of `is_bad` that depends on where a line begins

_spend: ContextVar[Callable[[int], None]] = ContextVar("spend", default=lambda length: None)
_step = ftfy._fix_encoding_one_step_and_explain


@contextmanager
def counted(spend: Callable[[int], None]) -> "Iterator[None]":
    """Tell `spend` the characters of each step that is made inside, before it is made; it raises to stop them."""
    token = _spend.set(spend)
    try:
        yield
    finally:
        _spend.reset(token)


def may_be_mojibake(text: str) -> bool:
    """Tell whether any line of the text may look like mojibake to ftfy, which looks at each by itself."""
    return not text.isascii() and (is_bad(text) or bool(_BAD_START.search(text)))


def _counted_step(text: str, config: Any) -> Any:
    if text.isascii() or not is_bad(text):
        _spend.get()(len(text))
        return ftfy.ExplainedText(text, [])  # as ftfy's own first test
    _spend.get()(SEARCH * (len(text) + TRY))
    step = _step(text, config)
    if not step.explanation or not step.explanation[-1].parameter.startswith("utf-8"):
        _spend.get()(VAIN)
    return step


ftfy._fix_encoding_one_step_and_explain = _counted_step
