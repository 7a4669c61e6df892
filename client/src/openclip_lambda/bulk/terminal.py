"""Write bytes to standard output, and lines to standard error, in which control characters are escaped."""

import contextlib
import os
import sys
import warnings

from PIL import Image
from tqdm import tqdm

from openclip_lambda.errors import OutputError
from openclip_lambda.os_errors import reason


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


def print_bytes(data: bytes) -> None:
    """Write to standard output, in UTF-8 whatever the locale. Raises OutputError, or BrokenPipeError as of `| head`."""
    if sys.stdout is None:
        raise OutputError("standard output is closed: give --output")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputError(f"standard output cannot be written: {reason(error)}") from error


def quiet_libraries() -> None:
    """Hide warnings of libraries: if one matters, the file is skipped, with the reason."""
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", module=r"PIL\..*")
