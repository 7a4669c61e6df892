"""Read the user's own data: a table of images and captions, images with a .txt beside each, a folder for each class."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from layer.errors import EvaluationError
from layer.files import text_file
from layer.files.user_paths import path_in
from layer.quality.data import Data, LeftOut, joined

IMAGE_COLUMNS = ("image", "filepath", "file_name", "filename", "image_path", "path", "file", "image_name")
CAPTION_COLUMNS = ("caption", "title", "text", "captions", "comment", "description", "sentence")
MIN_CLASSES = 2
END = "\x1e"  # a row of our own behind the last one
FORM = "a CSV with a column of image paths and one of captions, or a folder of images with a .txt beside each"
csv.field_size_limit(
    text_file.MAX_TABLE
)  # a caption that is too long is the function's to refuse, and the rest is read


def pairs(place: Path, columns: tuple[str | None, str | None] = (None, None), limit: int | None = None) -> Data:
    """Read images and captions, at most `limit` images. Raises EvaluationError where there are none."""
    try:
        found, left_out = _sidecars(place) if place.is_dir() else _table(place, columns)
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise EvaluationError(f"--pairs {place}: {reason}: name {FORM}") from error
    return _some(joined("pairs", place.resolve().name, found, left_out, limit=limit), "--pairs", place, FORM)


def labels(place: Path, templates: Sequence[str], limit: int | None = None) -> Data:
    """Read a folder for each class, whose name is the class: `_` stands for a blank. Raises EvaluationError.

    Of more than `limit` images a sample is read.
    """
    form = "a folder that has a folder for each class, with its images in it"
    try:
        folders = sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise EvaluationError(f"--labels {place}: {error.strerror}: name {form}") from error
    inside = {folder: _files(folder) for folder in folders}
    found = [(path, _class(folder)) for folder, paths in inside.items() for path in paths]
    stray = [LeftOut(str(path), "is in no class's folder") for path in _files(place, deep=False)]
    stray += [LeftOut(str(folder), "is no class: no file is in it") for folder, paths in inside.items() if not paths]
    classes = list(dict.fromkeys(text for _, text in found))
    data = _some(joined("labels", place.resolve().name, found, stray, classes, limit), "--labels", place, form)
    if len(data.texts) < MIN_CLASSES:
        raise EvaluationError(f"--labels {place} has {len(data.texts)} class: name {form}, and two of them or more")
    return Data(**{**vars(data), "templates": tuple(templates)})


def _class(folder: Path) -> str:
    return folder.name.replace("_", " ").strip()


def _some(data: Data, option: str, place: Path, form: str) -> Data:
    if not data.images:
        reasons = "".join(f"\n  {one.what} {one.reason}" for one in data.left_out[:5])
        raise EvaluationError(f"{option} {place} has no image that can be used: name {form}{reasons}")
    return data


def _files(folder: Path, deep: bool = True) -> list[Path]:
    there = sorted(folder.rglob("*") if deep else folder.iterdir())
    return [path for path in there if not path.name.startswith(".") and not path.is_dir()]


def _sidecars(folder: Path) -> tuple[list[tuple[Path, str]], list[LeftOut]]:
    """Take for each image the lines of the .txt of its name."""
    found, left_out, texts = [], [], set()
    for path in _files(folder):
        beside = path.with_suffix(".txt")
        if path == beside:
            continue
        if not beside.is_file():
            left_out.append(LeftOut(str(path), f"has no caption: {beside.name} is not beside it"))
            continue
        texts.add(beside)
        try:
            said = [line.strip() for line in text_file.read(beside).split("\n") if line.strip()]
        except (OSError, ValueError) as error:
            left_out.append(LeftOut(str(beside), str(getattr(error, "strerror", None) or error)))
            continue
        if not said:
            left_out.append(LeftOut(str(beside), "has no line of text"))
        found += [(path, line) for line in said]
    alone = [path for path in _files(folder) if path.suffix == ".txt" and path not in texts]
    return found, [*left_out, *(LeftOut(str(path), "has no image beside it") for path in alone)]


def _table(place: Path, columns: tuple[str | None, str | None]) -> tuple[list[tuple[Path, str]], list[LeftOut]]:
    text = text_file.read(place, text_file.MAX_TABLE)
    header = text.partition("\n")[0]
    delimiter = max(",\t;|", key=header.count)
    rows = csv.reader(io.StringIO(f"{text}\n{END}"), delimiter=delimiter)
    lines = text.split("\n")
    names = [name.strip() for name in next(rows, [])]
    image = _column(names, columns[0], IMAGE_COLUMNS, "--image-column")
    caption = _column(names, columns[1], CAPTION_COLUMNS, "--caption-column")
    found, left_out = [], []
    for number, row in _numbered(rows, lines, delimiter):
        if len(row) <= max(image, caption):
            left_out.append(LeftOut(f"{place.name} line {number}", f"has {len(row)} columns of {len(names)}"))
        elif any(value.strip() for value in row[len(names) :]):  # the caption's first part is another caption
            reason = f"has {len(row)} columns of {len(names)}: put a text with {delimiter!r} in it into quotation marks"
            left_out.append(LeftOut(f"{place.name} line {number}", reason))
        elif not (row[image].strip() and row[caption].strip()):
            left_out.append(LeftOut(f"{place.name} line {number}", "has no image or no caption"))
        else:
            found.append((path_in(place, row[image].strip()), row[caption].strip()))
    return found, left_out


def _numbered(rows: "Iterator[list[str]]", lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row of `lines` that is not blank with the line that it ends on.

    Raises ValueError where a quotation mark is open to the end or to the next row's: a caption would hold all between.
    """
    line: int = rows.line_num  # type: ignore[attr-defined]
    for row in rows:
        last = row and row[-1].endswith(END)
        if last and row == [END]:
            return
        end: int = rows.line_num  # type: ignore[attr-defined]
        if last or (end > line + 1 and not _is_closed(lines[line:end], delimiter)):
            raise ValueError(f"line {line + 1} has a quotation mark that nothing closes: close it, or write it twice")
        line = end
        if row:
            yield line, row


def _is_closed(lines: Sequence[str], delimiter: str) -> bool:
    """Tell whether the quotation marks of a row of several lines end where a column does, with or without blanks."""
    text = re.sub(rf'" +(?={re.escape(delimiter)}|$)', '"', "\n".join(lines), flags=re.MULTILINE)
    try:
        return bool(list(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)))
    except csv.Error:
        return False


def _column(names: Sequence[str], asked: str | None, known: Sequence[str], option: str) -> int:
    lower = [name.lower() for name in names]
    wanted = [asked.lower()] if asked else [*known]
    for name in wanted:
        if name in lower:
            return lower.index(name)
    there = ", ".join(names) or "none"
    raise ValueError(f"the columns are {there}, of which none is {' or '.join(wanted[:3])} (name it with {option})")
