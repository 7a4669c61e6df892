"""The runtime tree of the last time, where nothing has changed that it is made of: a second package takes seconds."""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from layer.package import runtime, tree, trim
from layer.package.digest import tree_sha256


def bring(engines: Iterable[str], target: dict[str, str], place: Path, index: str | None, cache: Path) -> None:
    """Put the engines' runtime tree at `place`: the one in `cache` if it is whole, else installed, and kept there.

    `index` is where torch's CPU builds are. Raises PackageError as the installation does.
    """
    names = sorted(engines)
    stem = "-".join((*names, target["python"], target["architecture"]))
    kept = cache / "runtime" / f"{stem}-{_key(names, index)}"
    if not _whole(kept):
        print(f"installing the runtime of {stem} ...", file=sys.stderr)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=kept.parent) as scratch:
            made = Path(scratch) / "kept"
            runtime.install(names, target, made / "tree", index)
            (made / "sha256").write_text(tree_sha256(made / "tree"))
            for older in kept.parent.glob(f"{stem}-*"):
                shutil.rmtree(older)
            made.rename(kept)
    tree.copy(kept / "tree", place)


def _key(engines: list[str], index: str | None) -> str:
    """Digest what the tree depends on: every pin, every trimming rule, where torch comes from, how pip is asked."""
    digest = hashlib.sha256(repr((engines, index)).encode())
    for path in (*sorted(runtime.REQUIREMENTS.iterdir()), trim.RULES, Path(runtime.__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _whole(kept: Path) -> bool:
    try:
        return (kept / "sha256").read_text() == tree_sha256(kept / "tree")
    except FileNotFoundError:
        return False
