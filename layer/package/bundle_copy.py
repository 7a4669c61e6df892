"""Copy a bundle into a package, and notice if a build replaces it meanwhile: an installation takes minutes."""

from pathlib import Path

from layer.bundle.records import Manifest
from layer.bundle.verify import check_files
from layer.errors import PackageError, VerifyError
from layer.package import tree


def copy(bundle: Path, facts: Manifest, place: Path) -> None:
    """Copy the bundle, links followed. Raises PackageError if it is no longer the one whose manifest is `facts`."""
    try:
        tree.copy(bundle, place)
        tree.normalize_metadata(place)
        unchanged = check_files(place) == facts
    except (VerifyError, FileNotFoundError):
        unchanged = False
    if not unchanged:
        raise PackageError(f"{bundle} was changed while it was packaged: run `python -m layer package` again")
