"""The directories that are searched for prepared models: those of --from, of models.toml and of the environment."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from layer.errors import SourceError
from layer.files.user_paths import at_home
from layer.naming import addresses, validate


@dataclass(frozen=True)
class Place:
    """A directory to search; with `repo`, the directory of that repository, whatever its name.

    `variable` is the environment variable that names it, if neither an option nor models.toml does.
    """

    path: Path
    repo: str | None = None
    variable: str | None = field(default=None, compare=False)


def given(text: str, where: str) -> Place:
    """Read `<directory>` or `<org>/<name>=<directory>`. Raises SourceError if the directory does not exist."""
    name, sign, path = _parted(text)
    if sign and not os.path.lexists(text):
        try:
            repository = addresses.plain(name).removeprefix("hf-hub:")
            return Place(_directory(path, where), validate.repository(repository))
        except ValueError as error:
            raise SourceError(f"{where}: {error}: write <directory> or <org>/<name>=<directory>") from error
    return Place(_directory(text, where))


def folder_of(text: str) -> Path:
    """Return the directory of `<directory>` or `<org>/<name>=<directory>`, whether it is there or not."""
    _, sign, path = _parted(text)
    return Path(at_home(path if sign and not os.path.lexists(text) else text))


def _parted(text: str) -> tuple[str, str, str]:
    """Split `<repository>=<directory>`; the address of a repository may itself contain `=`, after a `?`."""
    for place in (place for place, letter in enumerate(text) if letter == "="):
        if addresses.understood(text[:place]) and os.path.lexists(at_home(text[place + 1 :])):
            return text[:place], "=", text[place + 1 :]
    return text.partition("=")


def _directory(text: str, where: str) -> Path:
    path = Path(at_home(text))
    try:
        if _is_directory(path):
            with os.scandir(path):
                return path
    except PermissionError as error:
        raise SourceError(
            f"{where}: {text} cannot be read ({error.strerror}): let this user read it (`chmod -R a+rX`), "
            "or name another directory"
        ) from error
    state = "is not a directory" if os.path.lexists(path) else "is not there"
    raise SourceError(
        f"{where}: {text} {state}: name the directory of a prepared cache, or a folder that holds several; "
        "`python -m layer fetch --output model_cache` makes one where there is a network"
    )


def of_environment(default: bool, environ: Mapping[str, str] = os.environ) -> list[Place]:
    """Return the existing caches that the environment names; with `default`, also the user's own one."""
    named = [(name, environ.get(name)) for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")]
    if home := environ.get("HF_HOME"):
        named.append(("HF_HOME", str(Path(home) / "hub")))
    if default:
        caches = environ.get("XDG_CACHE_HOME") or "~/.cache"
        named.append(("the user's own cache", str(Path(caches) / "huggingface" / "hub")))
    found = [Place(Path(os.path.expandvars(at_home(path))), variable=name) for name, path in named if path]
    return [place for place in dict.fromkeys(found) if _may_be_there(place.path)]


def _may_be_there(path: Path) -> bool:
    """Tell whether a cache is there. One without permission counts: the search names it if a model is missing."""
    try:
        return _is_directory(path)
    except PermissionError:
        return True


def _is_directory(path: Path) -> bool:
    """Raises PermissionError where this user may not look; Path.is_dir() says False there from Python 3.14 on."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except PermissionError:
        raise
    except OSError:  # nothing there, a file on the way, links in a circle
        return False
