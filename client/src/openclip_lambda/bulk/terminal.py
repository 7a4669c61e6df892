"""Lines for people, on standard error: whatever a file name or a server puts into them, the terminal stays sound."""

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
    """Print one line, above the progress bar where there is one. A closed standard error is no reason to stop."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError):
        tqdm.write(printable(line), file=sys.stderr)


def quiet_libraries() -> None:
    """Keep warnings of libraries off the terminal: what matters of them is told as the reason of a skipped file."""
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", module=r"PIL\..*")
