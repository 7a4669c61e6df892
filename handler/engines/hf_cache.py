"""Bring the bundle's Hugging Face caches into one writable directory, by links or by copies, whole or not at all."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handler.errors import CacheError
from handler.manifest import BundleFile, Manifest
from handler.settings import MB, Settings

MARK = ".openclip-bundle"  # written last: says which bundle, brought in which way, stands here complete


def prepare(manifest: Manifest, settings: Settings) -> Path:
    """Make `<cache_dir>/hub` hold every model's repositories, and return it. Costs nothing the second time.

    Raises CacheError when a copy would not fit, or when two models bring the same repository at different commits.
    """
    hub = settings.cache_dir / "hub"
    mark = f"{settings.cache_mode} {manifest.sha256}"
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with _lock(settings.cache_dir):
        if _read(hub / MARK) == mark:
            return hub
        _sweep(settings.cache_dir)
        files = _targets(manifest)
        if settings.cache_mode == "copy":
            _check_space(files, settings.cache_dir)
        aside = Path(tempfile.mkdtemp(prefix="hub-", dir=settings.cache_dir))
        for relative, file in files.items():
            _bring(manifest.bundle_dir / file.path, aside / relative, settings.cache_mode)
        (aside / MARK).write_text(mark)
        if hub.exists():
            hub.rename(settings.cache_dir / "hub-old")
        aside.rename(hub)
        _sweep(settings.cache_dir)
    return hub


def _targets(manifest: Manifest) -> dict[str, BundleFile]:
    """Map each path below the joint hub directory to the bundle's file that belongs there."""
    targets: dict[str, BundleFile] = {}
    for file in manifest.files:
        models, _, below = file.path.partition("/hub/")
        if not models.startswith("models/") or not below:
            continue
        other = targets.setdefault(below, file)
        if other.sha256 != file.sha256:
            raise CacheError(
                f"{other.path} and {file.path} differ, but one process can hold only one of them: "
                "pin both models to one revision in layer/models.toml and run `python -m layer build`"
            )
    return targets


def _check_space(files: dict[str, BundleFile], cache_dir: Path) -> None:
    needed = sum(file.size for file in files.values())
    free = shutil.disk_usage(cache_dir).free
    if needed > free:
        raise CacheError(
            f"OPENCLIP_CACHE_MODE=copy needs {needed / MB:.0f} MB in {cache_dir}, which has {free / MB:.0f} MB free: "
            "raise the function's ephemeral storage, or set OPENCLIP_CACHE_MODE=link"
        )


def _bring(source: Path, target: Path, mode: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if mode == "copy":
        shutil.copyfile(source, target)
    else:
        target.symlink_to(source)


def _read(mark: Path) -> str | None:
    try:
        return mark.read_text()
    except FileNotFoundError:
        return None


def _sweep(cache_dir: Path) -> None:
    """Remove what a start that was killed half-way left behind: it would fill /tmp."""
    for leftover in cache_dir.glob("hub-*"):
        shutil.rmtree(leftover)


@contextmanager
def _lock(cache_dir: Path) -> Iterator[None]:
    descriptor = os.open(cache_dir / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
