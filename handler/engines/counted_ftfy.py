"""Count each step of ftfy's search for mojibake before it is made. Imported late: it takes 40 ms.

The cost of a step depends on the text's length, but the number of steps does not: in some texts, each step decodes only
a few characters.
"""

import re
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from handler.engines.import_stubs import import_ftfy

if TYPE_CHECKING:
    from collections.abc import Iterator

ftfy = import_ftfy()
is_bad = ftfy.badness.is_bad

# Costs, in characters:
TRY = 50  # finding the right encoding, in addition to the length of the text
VAIN = 100  # trying rarer encodings, or all of them if none is right, in addition to SEARCH times the length
SEARCH = 2
LOOK = 5  # seeing that a text has no mojibake

_BAD_START = re.compile("^[ÃÂ] ", re.MULTILINE)  # the one rule of `is_bad` that depends on where a line begins
_FIRST_TRIED = ("latin-1", "sloppy-windows-1252")
_CONFIG = ftfy.TextFixerConfig(explain=False)

_spend: ContextVar[Callable[[int], None]] = ContextVar("spend", default=lambda length: None)
_step = ftfy._fix_encoding_one_step_and_explain


@contextmanager
def counted(spend: Callable[[int], None]) -> "Iterator[None]":
    """Within this block, call `spend` with the cost of each step before it is made; it may raise to stop."""
    token = _spend.set(spend)
    try:
        yield
    finally:
        _spend.reset(token)


def fix_encoding(text: str) -> str:
    """Do what `ftfy.fix_encoding` does, without creating two settings objects for each line."""
    before = None
    while text != before:
        before, text = text, _counted_step(text, _CONFIG).text
    return text


def may_be_mojibake(text: str) -> bool:
    """Tell whether any line of the text may look like mojibake to ftfy, which judges each line by itself."""
    return not text.isascii() and (is_bad(text) or bool(_BAD_START.search(text)))


def _counted_step(text: str, config: Any) -> Any:
    if text.isascii():
        return ftfy.ExplainedText(text, [])  # as ftfy's own first test
    if not is_bad(text):
        _spend.get()(len(text) + LOOK)
        return ftfy.ExplainedText(text, [])
    _spend.get()(len(text) + TRY)
    step = _step(text, config)
    if not step.explanation or step.explanation[0].parameter not in _FIRST_TRIED:
        _spend.get()(SEARCH * len(text) + VAIN)
    return step


ftfy._fix_encoding_one_step_and_explain = _counted_step
