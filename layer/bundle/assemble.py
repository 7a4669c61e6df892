"""Join the bundles of several models into one, by hard links where the file system has them."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from layer.bundle import build_cache, manifest
from layer.bundle.build_cache import Built
from layer.bundle.records import Manifest
from layer.files import replace
from layer.files.link import link
from layer.spec import Spec


def put_in_place(spec: Spec, parts: Sequence[Built], output: Path) -> None:
    """Join the models' bundles into one at `output`; if that is already the same, do nothing."""
    facts = manifest.with_quality_of(manifest.joined(spec, [part.facts for part in parts]), output)
    if build_cache.unmodified(output) and manifest.same(manifest.read(output), facts):
        return
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as scratch:
        staged = Path(scratch) / output.name
        assemble(parts, facts, staged)
        replace.swap(staged, output)


def assemble(parts: Sequence[Built], facts: Manifest, folder: Path) -> None:
    """Write the bundle of these parts into a new folder that every user may read."""
    for part in parts:
        shutil.copytree(part.bundle / "models", folder / "models", copy_function=link, dirs_exist_ok=True)
        for path, file in part.added.items():
            link(file, folder / path)
    manifest.write_facts(folder, facts)
    for inside in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        inside.chmod(0o755)
    (folder / manifest.NAME).chmod(0o644)
