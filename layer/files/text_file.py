"""Read a text file that people edit, in the encodings that editors save. For others, the error says how to save it.

Editors on Windows write byte order marks, UTF-16 and CRLF; word processors put typographic quotes for straight ones.
"""

import codecs
import stat
import unicodedata
from pathlib import Path

MAX_BYTES = 8 << 20  # far more than anybody types
MAX_TABLE = 256 << 20  # of a table that a program wrote
_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_QUOTES = "“”„‟«»‘’‚‛′″＂＇`´"


def read(path: Path, most: int = MAX_BYTES) -> str:
    """Return a text file's content, lines ended by a newline alone, without its byte order mark.

    Raises OSError where it cannot be opened, ValueError with the reason and the fix where it is not a text.
    """
    state = path.stat()
    if stat.S_ISDIR(state.st_mode):
        raise ValueError("is a directory: name a file")
    if not stat.S_ISREG(state.st_mode):
        raise ValueError("is not a regular file: name one")  # a pipe would be waited for, a device may never end
    with path.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise ValueError(f"is larger than {most >> 20} MB: is it the right file?")
    return decode(data).replace("\r\n", "\n").replace("\r", "\n")


def decode(data: bytes) -> str:
    """Return the text of `data`, by its byte order mark, else UTF-8. Raises ValueError with the reason and the fix."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(
            f"is not {error.encoding.upper()} (line {line}, byte 0x{data[error.start]:02x}): save it as UTF-8"
        ) from error
    if "\0" in text:
        raise ValueError("has NUL characters (UTF-16 without a byte order mark?): save it as UTF-8")
    return text


def unexpected_characters(text: str, line: int) -> str:
    """Say which characters of a line (from 1) an editor may have put there unasked: quotes, blanks that are none."""
    lines = text.split("\n")
    found = dict.fromkeys(char for char in (lines[line - 1] if 0 < line <= len(lines) else "") if _is_unexpected(char))
    names = ", ".join(f"U+{ord(char):04X} {unicodedata.name(char, 'a control character')}" for char in found)
    advice = "write straight quotes and plain spaces" if any(char in _QUOTES for char in found) else "remove it"
    return f": the line has {names}, {advice}" if names else ""


def _is_unexpected(char: str) -> bool:
    if char in _QUOTES:
        return True
    return unicodedata.category(char) in ("Zs", "Zl", "Zp", "Cf", "Cc") and char not in " \t"
