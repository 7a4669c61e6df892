"""Keep what takes long to install, in a directory of the cache that is complete or not there."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layer.files.replace import sweep
from layer.package.digest import tree_sha256

_SCRATCH = ".making-"


def is_complete(place: Path, content: str) -> bool:
    """Tell whether `content`, a directory in `place`, is there and unchanged since `installing` wrote its hash."""
    try:
        return (place / "sha256").read_text() == tree_sha256(place / content)
    except FileNotFoundError:
        return False


@contextmanager
def installing(place: Path, content: str, kind: str) -> Iterator[Path]:
    """Yield an empty directory to install `content` into. It becomes `place`, and earlier ones of its kind are removed.

    `kind` is the beginning of their names, before a dash.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    sweep(place.parent, _SCRATCH)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=place.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        yield made
        (made / "sha256").write_text(tree_sha256(made / content))
        for older in place.parent.glob(f"{kind}-*"):
            shutil.rmtree(older)
        made.rename(place)
