"""Check files that others wrote before they are used: LFS pointers, web pages, JSON that is too large or too deep."""

import json
import re
from pathlib import Path
from typing import Any

from layer.errors import BuildError

POINTER = b"version https://git-lfs.github.com/spec/"
MAX_JSON = 4 << 20  # bytes: of a config. The largest in open_clip's registry has 1 KB
MAX_DEPTH = 32
MARK = "\ufeff"
# A vocabulary may begin with `<pad>`: one token on a line of its own that is no element of a page.
_PAGE = re.compile(
    rb"<(?:[!?]|(?:html|head|body|script|noscript|style|title|meta|link|center|div|form|frameset)(?:[\s/>]|\Z)"
    rb"|[^<>\n]*[ \t<]|[^<>\s]+>[ \t]*[^\s])",
    re.IGNORECASE,
)
_BINARY = 64  # bytes: the length with which safetensors begin may read as `<!`, with zeros behind it


def is_pointer(path: Path) -> bool:
    """Tell whether a file is only a pointer to a large file that Git LFS did not fetch."""
    with path.open("rb") as stream:
        return stream.read(len(POINTER)) == POINTER


def is_page(beginning: bytes) -> bool:
    """Tell by its beginning whether a file is a web page or other markup, and not weights, JSON or a vocabulary."""
    start = beginning.removeprefix(MARK.encode()).lstrip()
    return b"\0" not in start[:_BINARY] and _PAGE.match(start) is not None


def refuse_pointer(path: Path, error: type[BuildError]) -> None:
    """Raise `error` where a file is a Git LFS pointer, or cannot be read."""
    try:
        pointer = is_pointer(path)
    except OSError as problem:
        raise error(f"{path} cannot be read ({problem.strerror}): check its permissions") from problem
    if pointer:
        raise error(
            f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull` in its repository, or download it "
            "from the hub, then build again"
        )


def read_json(path: Path, error: type[BuildError], rewritten: bool = False) -> Any:
    """Read a JSON file of at most MAX_JSON bytes and MAX_DEPTH levels.

    It may have a byte order mark if it is `rewritten`: open_clip and transformers read none.
    """
    refuse_pointer(path, error)
    if path.stat().st_size > MAX_JSON:
        raise error(f"{path} has {path.stat().st_size:,} bytes, over {MAX_JSON:,}: is it a config?")
    try:
        text = path.read_text(encoding="utf-8")
        if text.startswith(MARK) and not rewritten:
            raise error(
                f"{path} begins with a byte order mark, with which open_clip and transformers do not read it: save it "
                "where it comes from, as UTF-8 without one"
            )
        data = json.loads(text.removeprefix(MARK))
    except RecursionError as problem:
        raise error(f"{path} is nested too deep: is it a config?") from problem
    except (OSError, ValueError) as problem:
        raise error(f"{path} is not JSON ({str(problem)[:120]}): correct it, or copy it again") from problem
    if _deeper(data, MAX_DEPTH):
        raise error(f"{path} is nested deeper than {MAX_DEPTH} levels: is it a config?")
    return data


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(one, levels - 1) for one in inner)
