"""The nearest of the words that are known, for a message that says which one was meant."""

import difflib
import re
from collections.abc import Iterable

MAX_SHOWN = 3
MAX_LENGTH = 200  # letters of a word that is compared: its cost grows with the square
MIN_RATIO, SURE_RATIO = 0.65, 0.8  # of difflib: less is not a likeness that a reader would see


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return at most three of `known`, the nearest first; case, `-`, `_`, `/` and the like do not count."""
    forms: dict[str, list[str]] = {}
    for name in known:
        forms.setdefault(_form(name), []).append(name)
    wanted = _form(word)
    if wanted in forms:
        return forms[wanted][:MAX_SHOWN]
    part = _form(max(re.split(r"[\W_]+", word), key=len))  # "siglip2" of "siglip2-base"
    found = difflib.get_close_matches(wanted[:MAX_LENGTH], forms, MAX_SHOWN, SURE_RATIO)
    if len(part) >= 4:
        found += sorted((form for form in forms if part in form), key=len)
    found += difflib.get_close_matches(wanted[:MAX_LENGTH], forms, MAX_SHOWN, MIN_RATIO)
    return [name for form in dict.fromkeys(found) for name in forms[form]][:MAX_SHOWN]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing where no word is near."""
    found = nearest(word, known)
    return f"; did you mean {' or '.join(repr(name) for name in found)}?" if found else ""


def _form(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())
