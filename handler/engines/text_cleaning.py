"""Clean texts exactly as open_clip does, at a bounded cost.

open_clip repairs every text with ftfy, which passes over a line until nothing changes: a chain of `&amp;amp;...` takes
a pass for each link, and sorting a run of combining marks takes quadratic time. The cost is counted before each step,
and a text that needs more than its budget is refused; ordinary texts need much less.
"""

import re
import string
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from handler.errors import TextError

PASSES = 16  # over each character of a text: repairing mojibake takes 5 to 11, any other text 1 to 4
FREE = 1_500  # characters, a tenth of a millisecond: added to each budget, since short texts may need many passes
LINE = 20  # characters: the fixed cost of a pass over a line
MARKS = 128  # combining marks in a row; Unicode's Stream-Safe Text Format (UAX #15) stops at 30
BYTES = 4  # of UTF-8 for each character, once compatibility characters are spelled out: one of them may stand for 18
FREE_BYTES = 400

# Printable ASCII without `&`: nothing for ftfy to repair and no entity to resolve, so neither need be imported.
_PLAIN = re.compile(r"[\t\n\r -%'-~]*")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# A superset of the runs that are too long, quick to search: emoji and other symbols match too. The condition on what
# stands before a run keeps the search linear.
_SYMBOLS = r"[^\w\s\x00-\x7f]"
_PERHAPS_MARKS = re.compile(f"(?<!{_SYMBOLS}){_SYMBOLS}{{{MARKS + 1},}}")
_CHAIN = re.compile(r"&(?:(?:amp|AMP|#0*38|#[xX]0*26);)+")  # `&` that was escaped again and again
_INTO_MARKS = "\u0f73\u0f75\u0f81\uff9e\uff9f"  # no marks themselves, but normalizing makes such of them


class Budget:
    """The number of characters that repair may still pass over: for one text, and for all texts of a request."""

    def __init__(self) -> None:
        self._request = FREE - PASSES * LINE  # each text brings a line's share, so that many short ones are taken
        self._text = 0

    def admit(self, characters: int) -> None:
        """Begin a text of this length: it gets a budget of its own, and adds to that of the request."""
        self._request += PASSES * (characters + LINE)
        self._text = FREE + PASSES * characters

    def spend(self, characters: int) -> None:
        """Count a pass over so many characters, before it is made. Raises TextError."""
        self._request -= characters
        self._text -= characters
        self.check(0)

    def check(self, characters: int) -> None:
        """Raise TextError if so many more characters would be over the budget; they are not counted."""
        if min(self._request, self._text) < characters:
            raise TextError(
                "text_too_complex",
                "it takes too many passes to repair: resolve its HTML entities, mojibake and terminal codes before it "
                "is sent, or join its short lines",
            )


_budget: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextmanager
def one_request() -> Iterator[None]:
    """Within this block, all texts share a budget as one request; outside, each text has only its own."""
    token = _budget.set(Budget())
    try:
        yield
    finally:
        _budget.reset(token)


def whitespace(text: str) -> str:
    """Clean as open_clip's `whitespace` does. Raises TextError, as the others do."""
    return " ".join(_basic(text).split())


def lower(text: str) -> str:
    """Clean as open_clip's `lower` does."""
    return whitespace(text).lower()


def canonicalize(text: str) -> str:
    """Clean as open_clip's `canonicalize` does: without punctuation."""
    return " ".join(_basic(text).replace("_", " ").translate(_PUNCTUATION).lower().split())


CLEAN = {"whitespace": whitespace, "lower": lower, "canonicalize": canonicalize}


def _basic(text: str) -> str:
    """Do what open_clip's `basic_clean` does."""
    if _PLAIN.fullmatch(text):
        return text.strip()
    import html

    try:
        cleaned = html.unescape(html.unescape(_fix_text(text))).strip()
        _check_size(cleaned, len(text))
    except TextError as error:
        error.text = text
        raise
    except ValueError as error:  # Python's limit of digits; open_clip fails here as well
        failure = TextError("text_too_complex", "it has a character reference of thousands of digits: leave that out")
        failure.text = text
        raise failure from error
    return cleaned


def _fix_text(text: str) -> str:
    """Do what `ftfy.fix_text` does: repair each line by itself, until nothing in it changes any more."""
    from handler.engines.counted_ftfy import counted

    budget = _budget.get() or Budget()
    budget.admit(len(text))
    with counted(budget.spend):
        fixed = _fix_lines_at_once(text, budget)
        return "".join(_fix_one_by_one(text, budget)) if fixed is None else fixed


def _fix_lines_at_once(text: str, budget: Budget) -> str | None:
    """Repair all lines together; None if a line has an entity or mojibake, which have to be repaired line by line.

    All other fixes look at single characters, or at neighbors on one line, so the result is the same. A line is not
    changed by more passes than it needs.
    """
    from handler.engines.counted_ftfy import may_be_mojibake

    before = None
    while text != before:
        budget.spend(len(text) + LINE)
        if "&" in text or may_be_mojibake(text):
            return None
        before, text = text, _fix_characters(text)
    return text


def _fix_one_by_one(text: str, budget: Budget) -> Iterator[str]:
    from ftfy import fixes

    from handler.engines.counted_ftfy import fix_encoding

    html = True
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        html = html and "<" not in line  # ftfy's rule: after a line with a tag, entities are intended, and stay
        if html and (chains := _CHAIN.findall(line)):
            longest, others = max(chains, key=len), len(line) - sum(map(len, chains))
            links = longest.count(";")  # each takes a pass over what is left of the line
            budget.check(links * (others + LINE) + links * len(longest) // 2)
        before, fixed = None, line
        while fixed != before and not _PLAIN.fullmatch(fixed):
            budget.spend(len(fixed) + LINE)
            before = fixed
            fixed = _fix_characters(fix_encoding(fixes.unescape_html(fixed) if html else fixed))
        yield fixed


def _fix_characters(text: str) -> str:
    """Apply ftfy's other fixes once, in its order."""
    from ftfy import fixes

    text = fixes.fix_character_width(fixes.fix_latin_ligatures(fixes.fix_c1_controls(text)))
    text = fixes.fix_surrogates(fixes.fix_line_breaks(fixes.uncurl_quotes(text)))
    text = fixes.remove_control_chars(fixes.remove_terminal_escapes(text))
    check_marks(text)
    return unicodedata.normalize("NFC", text)


def check_marks(text: str) -> None:
    """Raise TextError for a long run of combining marks: normalizing sorts it, by insertion."""
    for match in _PERHAPS_MARKS.finditer(text):
        run = 0
        for one in match[0]:
            run = run + 1 if unicodedata.combining(one) or one in _INTO_MARKS else 0
            if run > MARKS:
                raise TextError("text_too_complex", f"over {MARKS} combining marks stand in a row: leave some out")


def _check_size(text: str, characters: int) -> None:
    """Raise TextError for a text that becomes much longer when a tokenizer normalizes it."""
    if text.isascii():
        return
    check_marks(text)
    size, most = len(unicodedata.normalize("NFKC", text).encode()), FREE_BYTES + BYTES * characters
    if size > most:
        raise TextError(
            "text_too_complex",
            f"its {characters:,} characters stand for {size:,} bytes of UTF-8, of which at most {most:,} are taken: "
            "spell its ligatures out, or send fewer of them",
        )
