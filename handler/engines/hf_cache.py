"""Link or copy the bundle's Hugging Face caches into one writable directory, in full or not at all."""

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

MARK = ".openclip-bundle"  # written last: the mode and the digest of the bundle that is here in full


def prepare(manifest: Manifest, settings: Settings) -> Path:
    """Link or copy every model's repositories into `<cache_dir>/hub`, and return it. A second call only checks sizes.

    Raises CacheError if a copy would not fit, if the directory cannot be written, or if two models need the same
    repository at different commits.
    """
    with held(manifest, settings) as hub:
        return hub


@contextmanager
def held(manifest: Manifest, settings: Settings) -> Iterator[Path]:
    """Do what `prepare` does, and hold a lock, so that no other process replaces the bundle while a model is read.

    huggingface_hub reads from this one directory only. So a process with another bundle waits, and processes with the
    same bundle share the lock. Raises CacheError.
    """
    hub, files = settings.cache_dir / "hub", _targets(manifest)
    mark = f"{settings.cache_mode} {manifest.sha256}"
    with _explained(settings.cache_dir):
        settings.cache_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(settings.cache_dir / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        with _explained(settings.cache_dir):
            fcntl.flock(lock, fcntl.LOCK_SH)
            if not _is_complete(hub, mark, files):
                fcntl.flock(lock, fcntl.LOCK_EX)  # kept to the end: flock cannot go back to LOCK_SH without releasing
                if not _is_complete(hub, mark, files):
                    _replace_hub(manifest, settings, mark, files)
        yield hub
    finally:
        os.close(lock)


def _replace_hub(manifest: Manifest, settings: Settings, mark: str, files: dict[str, BundleFile]) -> None:
    hub = settings.cache_dir / "hub"
    _sweep(settings.cache_dir)
    if settings.cache_mode == "copy":
        _check_space(files, settings.cache_dir)
    aside = Path(tempfile.mkdtemp(prefix="hub-", dir=settings.cache_dir))
    for relative, file in files.items():
        _link_or_copy(manifest.bundle_dir / file.path, aside / relative, settings.cache_mode)
    (aside / MARK).write_text(mark)
    if hub.exists():
        hub.rename(settings.cache_dir / "hub-old")
    aside.rename(hub)
    _sweep(settings.cache_dir)


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


def _link_or_copy(source: Path, target: Path, mode: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if mode == "copy":
        shutil.copyfile(source, target)
    else:
        target.symlink_to(source)


def _is_complete(hub: Path, mark: str, files: dict[str, BundleFile]) -> bool:
    """Tell whether the whole bundle is here. Sizes are checked: link targets may move, and /tmp may be cleaned."""
    try:
        return (hub / MARK).read_text() == mark and all(
            (hub / relative).stat().st_size == file.size for relative, file in files.items()
        )
    except FileNotFoundError:
        return False


def _sweep(cache_dir: Path) -> None:
    """Remove what a killed start left behind: it would fill /tmp."""
    for leftover in cache_dir.glob("hub-*"):
        shutil.rmtree(leftover)


@contextmanager
def _explained(cache_dir: Path) -> Iterator[None]:
    """Turn an OSError into a CacheError with the path and the fix."""
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"{error.filename or cache_dir} cannot be written or read ({error.strerror}): set OPENCLIP_CACHE_DIR to a "
            "directory of this user's own, on a disk that has room"
        ) from error
