"""Zip archives that are the same bytes each time: sorted names, one time, modes for any user, no links."""

import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

from layer.package.tree import MTIME
from layer.progress import bar
from layer.sources.hf_cache import FILE_MODE

_DATE = time.gmtime(MTIME)[:6]
_UNIX = 3


def write(target: Path, trees: Mapping[str, Path]) -> None:
    """Write each tree under its name in the archive (`openclip`, `python`, `handler`)."""
    members = {
        f"{name}/{path.relative_to(root).as_posix()}": path
        for name, root in trees.items()
        for path in root.rglob("*")
        if path.is_file()
    }
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
        bar(target.name, sum(path.stat().st_size for path in members.values())) as shown,
    ):
        for name in sorted(members):
            _add(archive, name, members[name])
            shown.update(members[name].stat().st_size)


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    member = zipfile.ZipInfo(name, _DATE)
    member.create_system = _UNIX
    member.external_attr = (0o100000 | FILE_MODE) << 16  # zipfile writes none by itself, and Lambda keeps what it finds
    member.compress_type = zipfile.ZIP_DEFLATED
    member.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(member, "w") as sink:
        while chunk := source.read(1 << 20):
            sink.write(chunk)
