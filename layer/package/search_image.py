"""The search function's image: the same bundle and engine, with the packages of the index and all of the handler.

It is an image even if the main package is layers: LanceDB and pyarrow alone are larger than layers may be.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from layer.bundle.records import Manifest
from layer.package import bundle_copy, extension, image, runtime_cache, sbom, size_check, tree
from layer.package.digest import tree_sha256
from layer.progress import file_sha256
from layer.spec import Target

EXTRA = ROLE = "search"
CONTEXT = "search-image"
SBOM = "search-sbom.cdx.json"
NOT_SHIPPED = ("serve",)  # of handler/
COMMAND = "handler.search.app.lambda_handler"
# The packages of the index are checked, too: LanceDB writes it, and pyarrow reads Parquet files.
CHECK = f"{image.CHECK} && python3 -B -c 'import lancedb, pyarrow.parquet, handler.search.app'"


@dataclass(frozen=True)
class Sources:
    """The inputs of the image: bundle, handler, names of engines, torch's index, and the cache of packages."""

    bundle: Path
    facts: Manifest
    handler: Path
    engines: Collection[str]
    torch_index_url: str | None
    cache: Path
    own: Path | None = None


def add(sources: Sources, staged: Path, contract: dict[str, Any]) -> list[str]:
    """Write the build context and its list of what ships into `staged`, and name both in package.json's `contract`.

    Returns the sizes of its parts, a line each. Raises PackageError.
    """
    target = replace(sources.facts.target, package="image")
    facts = replace(sources.facts, target=target)
    context = staged / CONTEXT
    engines = {*sources.engines, EXTRA}
    installed = runtime_cache.copy_into(
        context / "dependencies", engines, target, sources.torch_index_url, sources.cache
    )
    tree.copy(sources.handler, context / "handler", NOT_SHIPPED)
    added = _add_own(sources, context, staged.parent, target, installed)
    sizes = {path.name: tree.size(path) for path in sorted(context.iterdir())}
    size_check.check(facts, {**sizes, "bundle": tree.size(sources.bundle)})
    bundle_copy.copy(sources.bundle, sources.facts, context / "bundle")
    tree.normalize_metadata(context)
    listed = tree.write_json(staged / SBOM, sbom.document(facts, context, [*installed, *added]))
    handler_sha256 = tree_sha256(context / "handler")
    image.write_dockerfile(context, target.python, COMMAND, CHECK)
    tree.normalize_metadata(context)
    row = {
        **image.row(ROLE, context, target.python),
        "handler_sha256": handler_sha256,
        "sbom": {"path": SBOM, "sha256": file_sha256(listed)},
    }
    contract["artefacts"].append(row)
    return ["search image:", *size_check.size_table(facts, sizes)]


def _add_own(
    sources: Sources, context: Path, scratch: Path, target: Target, installed: list[dict[str, Any]]
) -> list[dict[str, str]]:
    """Add code of the user's own, which preprocesses and authenticates here too; returns the wheels that it needs."""
    if sources.own is None:
        return []
    names = [wheel["name"] for wheel in installed]
    return extension.add(sources.own, context, target, sources.bundle, scratch, names).wheels
