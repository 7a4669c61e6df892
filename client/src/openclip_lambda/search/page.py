"""Results as one HTML file: thumbnails inside it, no script, nothing fetched from anywhere."""

import base64
import html
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from openclip_lambda.bulk.files import read_image
from openclip_lambda.errors import InputError, OutputError
from openclip_lambda.images import Scaling, prepared
from openclip_lambda.os_errors import reason

MARK = "<!doctype html><!-- openclip-lambda search -->"
SIDE = 480  # pixels of a thumbnail's longer side: sharp on a dense screen
TYPES = {b"\xff\xd8": "jpeg", b"\x89P": "png", b"RI": "webp", b"GI": "gif", b"BM": "bmp"}
PAGE = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Found:
    """One result: `path` is its file, None for a text, and for a file that is no longer there."""

    name: str
    score: float
    path: Path | None


def check(path: Path) -> None:
    """Raise OutputError where a page cannot be written, or would replace what is no page of this client."""
    if not os.path.isdir(path.parent):  # noqa: PTH112
        raise OutputError(f"{path} cannot be written: there is no directory {path.parent}")
    if os.path.lexists(path):
        try:
            with path.open("rb") as file:
                ours = file.read(len(MARK)) == MARK.encode()
        except OSError:
            ours = False
        if not ours:
            raise OutputError(f"{path} is there, and was not made by this command: give --html another name")


def write(path: Path, query: str, image: Path | None, about: str, found: Sequence[Found]) -> None:
    """Write the page aside, then rename it. Raises OutputError."""
    best = max((one.score for one in found), default=0.0)
    text = PAGE.substitute(
        mark=MARK,
        title=_text(query),
        query=f"{_thumbnail(image)}<span>{_text(query)}</span>" if image else f"“{_text(query)}”",
        about=_text(about),
        results="\n".join(_card(number, one, best) for number, one in enumerate(found, 1)),
    )
    try:
        aside = path.with_name(f".openclip-{secrets.token_hex(6)}")
        try:
            with aside.open("x", encoding="utf-8") as file:  # of the mode that the umask gives
                file.write(text)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}") from error


def _card(number: int, one: Found, best: float) -> str:
    name = _text(Path(one.name).name if one.path else one.name)
    shown = _thumbnail(one.path) if one.path else f'<p class="text">{name}</p>'
    if one.path:
        shown = f'<a href="{_text(one.path.absolute().as_uri())}">{shown}</a>'
    width = 100 * max(0.0, one.score) / best if best > 0 else 0.0  # a score under 0, as many of SigLIP's, has no bar
    return (
        f'<li>{shown}<div class="bar"><i style="width:{width:.1f}%"></i></div>'
        f'<p><b>{number}</b> <span class="name" title="{_text(one.name)}">{name}</span>'
        f'<span class="score">{one.score:.3f}</span></p></li>'
    )


def _thumbnail(path: Path) -> str:
    try:
        data = prepared(read_image(str(path)), str(path), Scaling(SIDE, upright=True))
    except InputError as error:
        return f'<p class="text">{_text(str(error))}</p>'
    kind = TYPES.get(data[:2], "jpeg")
    return f'<img alt="{_text(path.name)}" src="data:image/{kind};base64,{base64.b64encode(data).decode("ascii")}">'


def _text(text: str) -> str:
    """Escape for HTML; a byte of a name that is not UTF-8 is shown as an escape."""
    return html.escape(text.encode(errors="backslashreplace").decode())
