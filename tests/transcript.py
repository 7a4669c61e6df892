"""What a page shows that a command prints, compared with what it prints: figures, hashes and widths may differ."""

import re
from collections.abc import Iterator, Mapping

FIGURE = re.compile(r"\b[0-9a-f]{7,}\b|[-+]?\d[\d.,:]*(?<=\d)(?:e-?\d+)?")
ANYTHING = "..."


def masked(line: str) -> str:
    """Return the words of a line, with # in the place of each figure and hash."""
    return " ".join(FIGURE.sub("#", line).replace("-----", "").split())


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a transcript, a line behind `$ ` with those that continue it, and what is shown of it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        found = re.match(r"(?:.*\\\n)*.*\n", part)
        assert found
        yield found[0].strip(), part[found.end() :]


def difference(shown: str, printed: str, names: Mapping[str, str] | None = None) -> str:
    """Say how what is shown differs from what was printed, or return an empty text.

    names: what was printed, and what the page calls it: a directory, a model. A line `...` stands for any lines.
    """
    for name, called in (names or {}).items():
        printed = printed.replace(name, called)
    there = [line for line in map(masked, printed.splitlines()) if line]
    at, free = 0, False
    for line in filter(str.strip, shown.splitlines()):
        if line.strip() == ANYTHING:
            free = True
            continue
        wanted = masked(line)
        looked = there[at:] if free else there[at : at + 1]
        places = [place for place, found in enumerate(looked, at) if found == wanted]
        if not places:
            return f"shown: {line!r}\nprinted here: {there[at : at + 3]}\nall of it:\n{printed}"
        at, free = places[0] + 1, False
    return "" if free or at == len(there) else f"not shown: {there[at:]}\nall of it:\n{printed}"
