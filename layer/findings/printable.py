"""Text from foreign files as it may be printed: a terminal must never obey it."""

MAX_SHOWN = 300  # characters of one piece of foreign text


def printable(text: object, limit: int = MAX_SHOWN) -> str:
    """Return text in which controls, escapes, marks of direction and half characters are written as escapes."""
    shown = text if isinstance(text, str) else _repr(text)
    cut = len(shown) > limit
    safe = "".join(letter if letter.isprintable() else _escaped(letter) for letter in shown[:limit])
    return f"{safe}..." if cut else safe


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")


def _repr(value: object) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; a list within lists
        return f"a {type(value).__name__} that is too large to print"
