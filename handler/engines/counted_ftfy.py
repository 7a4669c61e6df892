"""ftfy, with each step of its search for mojibake counted before it is made. Imported late, it takes 40 ms.

One step costs what the text's length says, but their number does not: some texts are decoded a few characters a step.
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

TRY = 50  # characters: what finding the right encoding costs beside the length of the text ...
VAIN = 100  # ... and trying the rarer ones too, or all of them where none is right ...
SEARCH = 2  # ... with so many times the length of the text
LOOK = 5  # characters: what it costs to see that a text has no mojibake

_BAD_START = re.compile("^[ÃÂ] ", re.MULTILINE)  # the one rule of `is_bad` that depends on where a line begins
_FIRST_TRIED = ("latin-1", "sloppy-windows-1252")
_CONFIG = ftfy.TextFixerConfig(explain=False)

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


def fix_encoding(text: str) -> str:
    """Do what `ftfy.fix_encoding` does, without the two objects of settings that it makes for each line."""
    before = None
    while text != before:
        before, text = text, _counted_step(text, _CONFIG).text
    return text


def may_be_mojibake(text: str) -> bool:
    """Tell whether any line of the text may look like mojibake to ftfy, which looks at each by itself."""
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
