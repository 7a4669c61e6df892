"""A project folder outside of the checkout: models.toml, models.lock, code and settings of the user's own."""

import hashlib
import json
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from layer.errors import ProjectError
from layer.files import overlap, toml_file
from layer.files.replace import OF_SYSTEM
from layer.files.user_paths import at_home

CHECKOUT = Path(__file__).parents[2]
TEMPLATE = CHECKOUT / "examples" / "project"
MODELS, LOCK = "models.toml", "models.lock"
PATHS = ("cache", "checkpoint", "config", "pairs", "labels")  # keys of models.toml whose values may be files
FILLED_IN = ("README.md", "cdk.json")  # what names this checkout and the project
TITLE = "@NAME@"
MAX_STACK = 60  # characters
# Of a repository, or a folder, that is made first.
MAY_BE_THERE = {".git", ".gitattributes", ".github", "LICENSE", *OF_SYSTEM}


def init(folder: Path, models: Path, lock: Path, own: Path | None = None) -> list[str]:
    """Write a new project into `folder`, and return the names of its files; nothing that is there is changed.

    `models` is the models.toml that it begins with, `lock` its models.lock where there is one, `own` a handler_ext that
    is copied instead of the example. Raises ProjectError or StorageError; then nothing was written.
    """
    whole = folder.absolute()
    _check(whole, models, own)
    whole.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{whole.name}-", dir=whole.parent) as scratch:
        staged = Path(scratch) / "project"
        shutil.copytree(TEMPLATE, staged, ignore=shutil.ignore_patterns("__pycache__"))
        (staged / "gitignore").rename(staged / ".gitignore")
        if own:
            shutil.rmtree(staged / "handler_ext")
            (staged / "test_handler_ext.py").unlink()
            shutil.copytree(own, staged / "handler_ext", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(models, staged / MODELS)
        if lock.is_file():
            shutil.copyfile(lock, staged / LOCK)
        for name in FILLED_IN:
            _fill_in(staged / name, _values(whole))
        names = sorted(path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file())
        _put(staged, whole)
    return names


def left_behind(models: Path) -> list[str]:
    """Return the files that a models.toml names relative to itself: in a project that leads to somewhere else."""
    spec = toml_file.read(models)
    tables = [spec, spec.get("evaluate", {}), *spec.get("model", [])]
    named = [(key, str(table[key])) for table in tables for key in PATHS if key in table]
    # A config may be a pair of the registry, a cache be `<org>/<name>=<directory>`.
    files = [
        name.rpartition("=")[2] if key == "cache" else name
        for key, name in named
        if key != "config" or name.endswith(".json")
    ]
    beside = [name for name in files if "://" not in name and not Path(at_home(name)).is_absolute()]
    return [str(models.absolute().parent / name) for name in beside]


def _check(folder: Path, models: Path, own: Path | None) -> None:
    real = Path(os.path.realpath(folder))  # resolve() raises for a link that leads to itself
    if real.is_relative_to(CHECKOUT.resolve()):
        raise ProjectError(
            f"{folder} is inside of this checkout, where `git pull` and `make clean` change things: name a folder "
            "outside of it, as in ../my-search"
        )
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"{folder} is a file: name another folder")
    if folder.is_dir() and (found := sorted({path.name for path in folder.iterdir()} - MAY_BE_THERE)):
        raise ProjectError(
            f"{folder} has {found[0]} in it, and nothing is overwritten: name a folder that is not there"
        )
    if own:
        overlap.refuse(folder, [(f"--extensions {own}", own)], overlap.CHANGED, "the project")
    if not models.is_file():
        raise ProjectError(f"{models} is not there: give --models a models.toml, or leave it out")
    if own and not (own / "__init__.py").is_file():
        raise ProjectError(f"{own} has no __init__.py: give --extensions your handler_ext, or leave it out")


def _values(folder: Path) -> Mapping[str, str]:
    return {
        "@CHECKOUT@": str(CHECKOUT.resolve()),
        "@STACK@": _stack(folder.name),
        TITLE: folder.name,
        "@FOLDER@": str(folder),
    }


def _stack(name: str) -> str:
    """Return a stack's name for a folder's: two folders must not get one stack, which would replace the first's."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", f"openclip-{name}").strip("-")
    if name.isascii() and plain.startswith("openclip-") and len(plain) <= MAX_STACK:
        return plain  # and not "openclip", which is the stack of a deployment without a project
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{plain[: MAX_STACK - len(digest) - 1].strip('-')}-{digest}"


def _fill_in(place: Path, values: Mapping[str, str]) -> None:
    text = place.read_text(encoding="utf-8")
    for mark, value in values.items():
        typed = value if mark == TITLE else shlex.quote(value)  # the page's commands are copied into a shell
        text = text.replace(mark, json.dumps(value)[1:-1] if place.suffix == ".json" else typed)
    place.write_text(text, encoding="utf-8")


def _put(staged: Path, folder: Path) -> None:
    """Move what was made into its place: as one directory, unless a repository is there already."""
    if not folder.exists() or not any(folder.iterdir()):
        staged.rename(folder)
        return
    for path in sorted(staged.iterdir()):
        if os.path.lexists(folder / path.name):
            raise ProjectError(f"{folder / path.name} appeared meanwhile, and was not overwritten: try again")
        path.rename(folder / path.name)
