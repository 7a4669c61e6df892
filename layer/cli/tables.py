"""What the builder prints: reports, bundles and lists of models, as tables."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.counts import counted
from layer.bundle import manifest, sandbox
from layer.cli import quality_table
from layer.cli.columns import show as _table
from layer.cli.memory_line import memory_line
from layer.cli.pick_table import show as show_picked
from layer.cli.registry_table import show_registry
from layer.engines import ENGINES
from layer.naming.image_formats import code_bytes
from layer.registry import memory_setting
from layer.registry.estimate import Estimate, fits
from layer.sources.lock import Lock, LockedSource
from layer.spec import Spec, Target

if TYPE_CHECKING:
    from layer.package.pipeline import Packaged
    from layer.quality.evaluate import Result

__all__ = ["show_picked", "show_registry"]

MB = 1_000_000


def show_report(title: str, report: dict[str, Any]) -> None:
    """Print what the shipped handler said of a bundle."""
    how = "in a new network namespace" if sandbox.namespaces() else "with every socket refused"
    print(f"{title}: the handler ran {how}")
    _table(
        ("model", "token ids", "text cosine", "image cosine", "loaded in"),
        (
            (
                model["id"],
                "equal" if model["token_ids_equal"] else "different",
                f"{model['min_text_cosine']:.6f}",
                f"{model['min_image_cosine']:.6f}",
                f"{model['load_seconds']:.1f} s",
            )
            for model in report["models"]
        ),
    )
    if own := report.get("extension"):
        _show_own(own, report["models"])


def _show_own(own: dict[str, Any], models: "Sequence[dict[str, Any]]") -> None:
    """Print what the user's own code has, and how much its preprocessing changes vectors."""
    routes = [f"{method} {path}" for path, methods in own["routes"].items() for method in methods]
    print(f"code of your own ({own['sha256'][:12]}): {', '.join([*routes, *own['hooks']])}")
    for model in models if own["own_preprocessing"] else ():
        kinds = own["own_preprocessing"]
        cosines = [f"{model[f'min_{kind}_cosine_with_own_preprocessing']:.6f} ({kind}s)" for kind in kinds]
        print(
            f"{model['id']}: the cosines above are the bundle's. With your preprocessing the lowest to open_clip: "
            f"{', '.join(cosines)}"
        )


def show_project(folder: Path, names: "Sequence[str]", left_behind: "Sequence[str]") -> None:
    """Print what is in a new project folder, what its models.toml names and is not there, and what to do next."""
    print("\n".join(f"{folder / name}" for name in names))
    for path in left_behind:
        print(f"note: models.toml names {path} relative to itself: copy it, or write its whole path")
    go = f"cd {shlex.quote(str(folder))} && python -m layer build --models models.toml"
    print(f"{folder / 'README.md'} has the commands; begin with: {go}")


def show_fetched(output: Path, contents: dict[str, Any]) -> None:
    """Print the repositories of a cache that was fetched, and how to build from it."""
    _table(
        ("repository", "commit", "license", "files", "size"),
        (
            (
                one["repo"],
                one["revision"][:12],
                one["license"] or "not stated",
                str(len(one["files"])),
                f"{sum(fact['size'] for fact in one['files'].values()) / MB:.1f} MB",
            )
            for one in contents["repositories"]
        ),
    )
    print(f"{output} is complete: copy it, then `python -m layer build --from {output}` needs no network")


def show_bundle(bundle: Path) -> None:
    """Print a bundle's models, files and sizes. Raises VerifyError where there is no bundle."""
    facts = manifest.read(bundle)
    target = facts.target
    print(f"{bundle}: built {facts.created_at}")
    print(f"for Python {target.python}, {target.architecture}, package {target.package}")
    _show_decoders(target)
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items() if version)
    print(f"with {versions}\n")
    for model in facts.models:
        height, width = model.image_size
        print(
            f"{model.id}: engine {model.engine}, {model.precision}, {model.embed_dim} dimensions, "
            f"images {width}x{height}, {model.context_length} tokens"
        )
        for source in model.sources:
            roles = ", ".join(source.roles)
            license = source.license or "not stated"
            print(f"  {source.repo} at {source.revision[:12]} ({roles}; license {license})")
        if model.vectors_sha256:
            print(f"  vectors_sha256 {model.vectors_sha256}")
    print(f"\n{memory_line(memory_setting.of_bundle(facts), target.memory)}")
    for model in facts.models:
        for made in model.quality or ():
            quality_table.show(f"{model.id}, {model.engine} {model.precision}", made)
    print()
    sizes = [(file.path, f"{file.size / MB:.3f} MB", file.sha256[:12]) for file in facts.files]
    _table(("file", "size", "sha256"), sizes)
    print(f"{counted(len(sizes), 'file')}, {sum(file.size for file in facts.files) / MB:.1f} MB")


def show_quality(results: "Sequence[Result]") -> None:
    """Print what was measured, and what was left out of the data."""
    for one in results:
        quality_table.show_left_out(one.left_out)
        quality_table.show(f"{one.model}, {one.engine}", one.certificate)


def show_estimate(spec: Spec, estimates: "Sequence[Estimate]") -> None:
    """Print what the models of models.toml would take, and which package shapes have room for them."""
    print(f"for Python {spec.target.python}, {spec.target.architecture}, package {spec.target.package}; not built yet")
    _table(
        ("model", "engine", "precision", "weights", "tokenizer, at most"),
        (
            (
                one.model.id,
                one.model.engine,
                one.model.precision,
                f"{one.weights / MB:.1f} MB",
                f"{one.tokenizer / MB:.1f} MB",
            )
            for one in estimates
        ),
    )
    for engine in sorted({one.model.engine for one in estimates}):
        print(f"code of {engine}: {ENGINES[engine].code_bytes / MB:.0f} MB")
    _show_decoders(spec.target)
    for shape, left in fits(spec, list(estimates)).items():
        print(
            f"{shape}: " + (f"fits, with {left / MB:.1f} MB to spare" if left >= 0 else f"{-left / MB:.1f} MB too much")
        )


def _show_decoders(target: Target) -> None:
    for name, size in code_bytes(target.image_formats).items():
        print(f"decoder of {name}: {size / MB:.1f} MB in the package")


def show_package(output: Path, packaged: "Packaged") -> None:
    """Print what was packaged, with sizes: of the parts, then of what is uploaded."""
    print("\n".join(packaged.table))
    _table(
        ("packaged", "to upload", "unzipped", "sha256"),
        (
            (
                str(output / made["path"]),
                f"{made['bytes'] / MB:.1f} MB",
                f"{made['unzipped_bytes'] / MB:.1f} MB",
                made["sha256"][:12],
            )
            for made in packaged.contract["artefacts"]
        ),
    )
    for note in packaged.notes:
        print(f"note: {note}")


def show_spec(spec: Spec, pins: Lock) -> None:
    """Print the models that models.toml names, with the licenses that the hub stated when models.lock was written."""
    _table(
        ("model", "engine", "precision", "revision", "license"),
        (
            (model.id, model.engine, model.precision, model.revision or "default branch", _licenses(pins.get(model.id)))
            for model in spec.models
        ),
    )


def _licenses(sources: Sequence[LockedSource] | None) -> str:
    if sources is None:
        return "known once built"
    return ", ".join(dict.fromkeys(source.license or "not stated" for source in sources))
