"""Print lines to standard error, with control characters of file names and of servers escaped."""

import contextlib
import sys
import warnings

from PIL import Image
from tqdm import tqdm


def printable(text: str) -> str:
    """Escape what is no printable character: escape sequences, line breaks, bytes of a file name that are not UTF-8."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def say(line: str) -> None:
    """Print one line, above the progress bar if there is one. A closed standard error is ignored."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError):
        tqdm.write(printable(line), file=sys.stderr)


def quiet_libraries() -> None:
    """Hide warnings of libraries: if one matters, the file is skipped, with the reason."""
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", module=r"PIL\..*")
