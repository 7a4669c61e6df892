"""Puts a finished model folder into a Hugging Face cache: refs/main and snapshots/<revision>, real files, no links."""

import hashlib
import shutil
from pathlib import Path

HUB = Path(__file__).parent / "hub"


def revision_of(folder: Path) -> str:
    """Return 40 hex digits that depend on the files' names and contents only: SHA-1 of the sorted SHA-256 sums."""
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.iterdir())]
    return hashlib.sha1("".join(sums).encode(), usedforsecurity=False).hexdigest()


def current(repository: str, hub: Path = HUB) -> Path:
    """Return the folder of the one snapshot of `repository` in `hub`."""
    place = hub / f"models--{repository.replace('/', '--')}"
    return place / "snapshots" / (place / "refs" / "main").read_text()


def install(folder: Path, repository: str, hub: Path = HUB) -> Path:
    """Make `folder` the one snapshot of `repository` in `hub`; returns it. The old one stays until the new is whole."""
    place = hub / f"models--{repository.replace('/', '--')}"
    aside, old = place.with_name(f".{place.name}.new"), place.with_name(f".{place.name}.old")
    for leftover in (aside, old):
        shutil.rmtree(leftover, ignore_errors=True)
    revision = revision_of(folder)
    shutil.copytree(folder, aside / "snapshots" / revision, copy_function=shutil.copyfile)
    (aside / "snapshots" / revision).chmod(0o755)  # readable by everyone, where `folder` is a temporary directory
    (aside / "refs").mkdir()
    (aside / "refs" / "main").write_text(revision)  # a newline at its end would break every offline load
    if place.exists():
        place.rename(old)
    aside.rename(place)
    shutil.rmtree(old, ignore_errors=True)
    return place / "snapshots" / revision
