"""The search function's image: the same bundle and engine, with the index's packages and all of the handler.

It is an image whatever the shape of the package beside it: LanceDB and pyarrow alone are over what layers may take.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from layer.bundle.records import Manifest
from layer.package import image, runtime_cache, sbom, size_check, tree
from layer.package.digest import tree_sha256
from layer.progress import file_sha256

EXTRA = ROLE = "search"
CONTEXT = "search-image"
SBOM = "search-sbom.cdx.json"
NOT_SHIPPED = ("serve",)  # of handler/
COMMAND = "handler.search.app.lambda_handler"
# What an index is made of has to be there, too: with these two LanceDB writes, and Parquet is read.
CHECK = f"{image.CHECK} && python3 -B -c 'import lancedb, pyarrow.parquet, handler.search.app'"


@dataclass(frozen=True)
class Sources:
    """What goes in: the bundle, all of the handler, the engines' names, where packages come from and are kept."""

    bundle: Path
    facts: Manifest
    handler: Path
    engines: Collection[str]
    torch_index_url: str | None
    cache: Path


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
    sizes = {name: tree.size(context / name) for name in ("handler", "dependencies")}
    size_check.check(facts, {**sizes, "bundle": tree.size(sources.bundle)}, layers=0)
    tree.copy(sources.bundle, context / "bundle")
    tree.normalize_metadata(context)
    listed = tree.write_json(staged / SBOM, sbom.document(facts, context, installed))
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
