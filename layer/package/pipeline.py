"""`python -m layer package`: build everything in a scratch directory, check it, and only then move it into place."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer.bundle import manifest
from layer.bundle.records import Manifest
from layer.bundle.verify import check_files
from layer.files import disk_errors, replace
from layer.files.directory_lock import held
from layer.naming import image_formats
from layer.package import (
    archive,
    bundle_copy,
    extension,
    function,
    image,
    replaceable,
    runtime_cache,
    sbom,
    search_image,
    size_check,
    tree,
    wheels,
)
from layer.package.compile_bytecode import compile_for
from layer.package.digest import tree_sha256
from layer.progress import file_sha256
from layer.registry import lambda_limits, memory_setting
from layer.spec import Target

HANDLER = Path(__file__).parents[2] / "handler"
# Of handler/: the older name of the local server, and what an image of its own has.
NOT_SHIPPED = ("serve", "search")
SCHEMA = 1
CONTRACT = "package.json"
ZIPS = (  # role in package.json, file, directory in it, tree
    ("function", "function.zip", "handler", "handler"),
    ("models", "layer.zip", "openclip", "bundle"),
    ("dependencies", "layer-deps.zip", "python", "dependencies"),
)
BESIDE = {"function": (extension.NAME,)}  # directories that a zip may have, too

CONTEXTS = ("image", search_image.CONTEXT)  # directories that Docker builds
OUTPUTS = (sbom.NAME, search_image.SBOM, *CONTEXTS, *(path for _, path, _, _ in ZIPS))


@dataclass(frozen=True)
class Packaged:
    """A finished package: `contract` is package.json, `table` the sizes of its parts, `notes` further hints."""

    contract: dict[str, Any]
    table: list[str]
    notes: list[str]


def package(
    bundle: Path,
    output: Path,
    cache: Path,
    torch_index_url: str | None = None,
    extras: Sequence[str] = (),
    own: Path | None = None,
) -> Packaged:
    """Package a bundle in the shape that its manifest names, into `output`; `cache` keeps what was installed.

    `extras` are some of `layer.package.EXTRAS`; `own` is a directory with code of the user's own (docs/extending.md).
    Raises PackageError, with the sizes if they are over a limit, or VerifyError if the bundle has changed since it was
    built; then `output` is unchanged.
    """
    facts = check_files(bundle)
    with (
        disk_errors.explained("packaging", output, cache),
        held(output / ".package.lock", f"the package in {output}"),
        held(cache / ".lock", str(cache)),
    ):
        replaceable.check(
            output, CONTRACT, CONTEXTS, {path: (name, *BESIDE.get(role, ())) for role, path, name, _ in ZIPS}
        )
        replace.sweep(output, ".package-")
        return _package(bundle, facts, output, cache, torch_index_url, extras, own)


def _package(
    bundle: Path, facts: Manifest, output: Path, cache: Path, index: str | None, extras: Sequence[str], own: Path | None
) -> Packaged:
    target, formats = facts.target, facts.target.image_formats or ()
    needed = wheels.needed(facts.models) | image_formats.requirements(formats)
    size_check.refuse_beforehand(facts)
    with tempfile.TemporaryDirectory(prefix=".package-", dir=output) as scratch:
        trees, staged = Path(scratch) / "trees", Path(scratch) / "staged"
        staged.mkdir()
        wheels_of = needed | set(extras) - {search_image.EXTRA}
        installed = runtime_cache.copy_into(trees / "dependencies", wheels_of, target, index, cache)
        tree.copy(HANDLER, trees / "handler", NOT_SHIPPED)
        handler_sha256 = tree_sha256(trees / "handler")
        added = _add_own(own, trees, target, bundle, output, installed)
        uncompiled = _compile(trees, target, cache)
        sizes = {path.name: tree.size(path) for path in sorted(trees.iterdir())}
        decoders = image_formats.sizes(trees / "dependencies", formats)
        size_check.check(facts, {**sizes, "bundle": tree.size(bundle)}, decoders)
        bundle_copy.copy(bundle, facts, trees / "bundle")
        tree.normalize_metadata(trees)
        listed = tree.write_json(staged / sbom.NAME, sbom.document(facts, trees, [*installed, *added.wheels]))
        contract: dict[str, Any] = {
            "schema": SCHEMA,
            "manifest_sha256": file_sha256(trees / "bundle" / manifest.NAME),
            "handler_sha256": handler_sha256,
            "extras": sorted(extras),
            **({"extension": added.contract} if own else {}),
            **({"image_formats": decoders} if decoders else {}),
            "artefacts": ARTIFACTS[target.package](trees, staged, target),
            **deployed(facts),
            "sbom": {"path": sbom.NAME, "sha256": file_sha256(listed)},
        }
        table = size_check.size_table(facts, sizes, decoders)
        if search_image.EXTRA in extras:
            sources = search_image.Sources(bundle, facts, HANDLER, needed, index, cache, own)
            table += search_image.add(sources, staged, contract)
        tree.write_json(staged / CONTRACT, contract)
        _swap(staged, output)
    zips = {made["path"]: made["bytes"] for made in contract["artefacts"] if made["path"] not in CONTEXTS}
    return Packaged(contract, table, list(size_check.notes(facts, zips, uncompiled)))


def deployed(facts: Manifest) -> dict[str, Any]:
    """Return what package.json says of the function, for whatever tool deploys it."""
    layers = [path for role, path, _, _ in ZIPS if role != "function"]
    return {
        "memory": facts.target.memory or memory_setting.of_bundle(facts).default,
        "function": function.configuration(facts.target, layers),
    }


def _add_own(
    own: Path | None, trees: Path, target: Target, bundle: Path, output: Path, installed: Iterable[dict[str, str]]
) -> extension.Extension:
    if own is None:
        return extension.Extension({}, [])
    return extension.add(own, trees, target, bundle, output, [wheel["name"] for wheel in installed])


def _compile(trees: Path, target: Target, cache: Path) -> str | None:
    """Compile the trees for the target's Python, or return why not; an image compiles while it is built."""
    if lambda_limits.SHAPES[target.package].on_base_image:
        return None
    places = {"dependencies": "/opt/python", "handler": "/var/task/handler", extension.NAME: extension.STANDS_AT}
    return compile_for(
        target.python, {trees / name: at for name, at in places.items() if (trees / name).is_dir()}, cache
    )


def _image(trees: Path, staged: Path, target: Target) -> list[dict[str, Any]]:
    context = staged / "image"
    trees.rename(context)
    image.write_dockerfile(context, target.python)
    tree.normalize_metadata(context)
    return [image.row("image", context, target.python)]


def _layers(trees: Path, staged: Path, _: Target) -> list[dict[str, Any]]:
    artifacts = []
    for role, path, name, source in ZIPS:
        beside = {other: trees / other for other in BESIDE.get(role, ()) if (trees / other).is_dir()}
        content = {name: trees / source, **beside}
        archive.write(staged / path, content)
        artifacts.append(
            {
                "role": role,
                "path": path,
                "sha256": file_sha256(staged / path),
                "bytes": (staged / path).stat().st_size,
                "unzipped_bytes": sum(map(tree.size, content.values())),
            }
        )
    return artifacts


ARTIFACTS = {"image": _image, "layer": _layers}  # by package shape


def _swap(staged: Path, output: Path) -> None:
    """Replace the old artifacts. package.json is removed first and added last: without it, there is no package.

    Files are only renamed, so that this takes little time; the old ones are deleted with `staged`.
    """
    before = staged / "before"
    before.mkdir()
    for name in (CONTRACT, *OUTPUTS):
        if os.path.lexists(output / name):
            (output / name).rename(before / name)
    for name in (*OUTPUTS, CONTRACT):
        if (staged / name).exists():
            (staged / name).rename(output / name)
