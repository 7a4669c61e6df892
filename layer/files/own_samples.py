"""The user's own samples (`--samples`): which files count. Each is read before any long work begins."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from console.counts import counted
from layer.errors import SampleError
from layer.files import text_file
from layer.findings.printable import printable
from layer.progress import each

IMAGES = (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp")
MAX_OWN = 200  # images, and lines of text, that are compared
MAX_SHOWN = 10


def files(folder: Path) -> list[Path]:
    """Return the images and the .txt files of a directory by name, the first MAX_OWN images. Raises SampleError."""
    try:
        there = sorted(folder.iterdir())
    except OSError as error:
        raise SampleError(f"--samples {folder} cannot be read ({error.strerror}): name a directory") from error
    images = [path for path in there if path.suffix.lower() in IMAGES and not path.name.startswith(".")]
    return [*images[:MAX_OWN], *(path for path in there if is_text(path))]


def is_text(path: Path) -> bool:
    """Tell whether a file is read as texts, one on each line."""
    return path.suffix.lower() == ".txt" and not path.name.startswith(".")


def check(folder: Path) -> None:
    """Read every sample as the comparison will. Raises SampleError naming each that cannot be read, and why."""
    found = files(folder)
    shown = each(found, "reading samples", "file")  # an image of 12 megapixels takes a tenth of a second
    problems = [*_subfolders(folder), *(f"{path.name} {why}" for path in shown if (why := _problem(path)))]
    if problems:
        more = [f"and {len(problems) - MAX_SHOWN} more"] if len(problems) > MAX_SHOWN else []
        listing = "\n  ".join([*problems[:MAX_SHOWN], *more])
        raise SampleError(f"--samples {folder} has files that cannot be used, repair or remove them:\n  {listing}")
    if not found:
        raise SampleError(f"--samples {folder} has no images ({', '.join(IMAGES)}) and no .txt: put some there")
    for note in _left_out(folder):
        print(f"note: --samples {printable(str(folder))}: {note}", file=sys.stderr)


def lines(path: Path) -> list[str]:
    """Return the lines of a .txt that are not blank. Raises OSError or ValueError with the reason."""
    return [line for line in text_file.read(path).split("\n") if line.strip()]


def _left_out(folder: Path) -> Iterator[str]:
    """Say which files are not compared, so that nobody takes them for samples of the gate."""
    there = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    others = [path.suffix.lower() or "without an ending" for path in there]
    others = sorted(ending for ending in others if ending not in (*IMAGES, ".txt"))
    if others:
        named = printable(", ".join([*dict.fromkeys(others)][:MAX_SHOWN]))
        yield f"{counted(len(others), 'other file')} left out ({named}): PNG, JPEG, WebP and .txt are compared"
    images = sum(path.suffix.lower() in IMAGES for path in there)
    if images > MAX_OWN:
        yield f"the first {MAX_OWN} of {images:,} images are compared, by name"


def _subfolders(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith(".") and path.suffix.lower() not in (*IMAGES, ".txt"):
            yield f"{path.name} is a directory, which is not searched: put its files into {folder} itself"


def _problem(path: Path) -> str | None:
    try:
        state = path.stat()
        if stat.S_ISDIR(state.st_mode):
            return "is a directory"
        if not stat.S_ISREG(state.st_mode):
            return "is not a regular file"
        if state.st_size == 0:
            return "is empty"
        if not os.access(path, os.R_OK):
            return "may not be read by this user"
        if is_text(path):
            return None if lines(path) else "has no line of text"
        return _image_problem(path)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except ValueError as error:
        return str(error)


def _image_problem(path: Path) -> str | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.convert("RGB")
    except Exception as error:  # noqa: BLE001 - of a damaged file, Pillow's decoders raise a dozen classes
        return f"cannot be read as an image: {(str(error) or type(error).__name__).splitlines()[0]}"
    return None
