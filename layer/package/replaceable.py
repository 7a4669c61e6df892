"""Refuse to replace files that `package` did not write: `--output` may be a directory with the user's own files."""

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

from layer.errors import PackageError


def check(output: Path, contract: str, contexts: Collection[str], zips: Mapping[str, tuple[str, ...]]) -> None:
    """Raise PackageError where a build context or a zip in `output` was not made by `package`.

    `contract` is the file that says so; after a kill it is missing, and then the artifacts' own contents count.
    `contexts` are the names of directories, `zips` those of files with the directories that each may have at its top.
    """
    if (output / contract).is_file():
        return
    images = [output / name for name in contexts]
    theirs = [image for image in images if image.is_symlink() or (image.exists() and not _is_context(image))]
    theirs += [
        output / name for name, tops in zips.items() if (output / name).exists() and not _holds(output / name, tops)
    ]
    if theirs:
        raise PackageError(f"{theirs[0]} is not of a package, and would be replaced: name another --output, or move it")


def _is_context(image: Path) -> bool:
    return image.is_dir() and ((image / "Dockerfile").is_file() or not any(image.iterdir()))


def _holds(path: Path, tops: tuple[str, ...]) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.partition("/")[0] in tops for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return path.is_file() and path.stat().st_size == 0
