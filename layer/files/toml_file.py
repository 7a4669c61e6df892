"""Read models.toml. The error for a line that is not TOML names the characters that break it."""

import re
import tomllib
from pathlib import Path
from typing import Any

from layer.errors import SpecError
from layer.files import text_file


def read(path: Path) -> dict[str, Any]:
    """Return the file's tables. Raises SpecError naming the line and the fix; OSError and ValueError of `text_file`."""
    text = text_file.read(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        hint = text_file.unexpected_characters(text, int(place[1])) if place else ""
        raise SpecError(f"{path} is not TOML: {error}{hint}: correct that line") from error
    except RecursionError as error:
        raise SpecError(
            f"{path} is not a models.toml: it is nested too deep: write one [[model]] table a model"
        ) from error
