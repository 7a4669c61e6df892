"""What the builder prints with `--json`: one document for programs, by the functions that `tables` has for people."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.setup.check import Check
from console.setup.examine import stops
from layer.bundle import manifest
from layer.findings.finding import Finding
from layer.naming.image_formats import code_bytes
from layer.registry import memory_setting, table
from layer.registry.estimate import Estimate, fits
from layer.registry.pick import Need, Picked
from layer.registry.published import SOURCE
from layer.sources.lock import Lock
from layer.spec import Spec

if TYPE_CHECKING:
    from layer.package.pipeline import Packaged
    from layer.quality.evaluate import Result


def show_report(title: str, report: dict[str, Any]) -> None:
    """Print what the shipped handler said of a bundle."""
    _print({"message": title, **report})


def show_project(folder: Path, names: Sequence[str], left_behind: Sequence[str]) -> None:
    """Print what is in a new project folder, and what its models.toml names and is not there."""
    _print({"project": str(folder), "files": list(names), "left_behind": list(left_behind)})


def show_fetched(output: Path, contents: dict[str, Any]) -> None:
    """Print what a cache that was fetched has in it."""
    _print({"output": str(output), **contents})


def show_bundle(bundle: Path) -> None:
    """Print what is in a bundle: its manifest, without the golden vectors. Raises VerifyError where there is none."""
    found = manifest.read(bundle)
    facts = dataclasses.asdict(found)
    for model in facts["models"]:
        del model["golden"]
    memory = dataclasses.asdict(memory_setting.of_bundle(found))
    _print({"bundle": str(bundle), **facts, "decoders": code_bytes(found.target.image_formats), "memory": memory})


def show_estimate(spec: Spec, estimates: Sequence[Estimate]) -> None:
    """Print what unbuilt models would take, in bytes, and how many each package shape has to spare."""
    models = [
        {"id": one.model.id, **dataclasses.asdict(one.model), "weights": one.weights, "tokenizer": one.tokenizer}
        for one in estimates
    ]
    spare = fits(spec, list(estimates))
    decoders = code_bytes(spec.target.image_formats)
    _print({"target": dataclasses.asdict(spec.target), "models": models, "decoders": decoders, "bytes_to_spare": spare})


def show_package(output: Path, packaged: "Packaged") -> None:
    """Print what was packaged, as package.json does."""
    _print({"output": str(output), **packaged.contract, "notes": list(packaged.notes)})


def show_spec(spec: Spec, pins: Lock) -> None:
    """Print which models models.toml names; `sources` is null before the first build."""
    models = []
    for model in spec.models:
        pinned = pins.get(model.id)
        sources = pinned and [{"repo": one.repo, "revision": one.revision, "license": one.license} for one in pinned]
        models.append({"id": model.id, **dataclasses.asdict(model), "sources": sources})
    _print({"target": dataclasses.asdict(spec.target), "models": models})


def show_registry(listed: Sequence[table.Pair], licenses: Mapping[str, str] | None = None, wide: bool = True) -> None:
    """Print pairs of open_clip's registry, sizes in bytes, and their repositories' licenses."""
    document: dict[str, Any] = {"pairs": [{**dataclasses.asdict(pair), "fits": pair.fits} for pair in listed]}
    if licenses is not None:
        document["licenses"] = licenses
    _print(document)


def show_quality(results: "Sequence[Result]") -> None:
    """Print what was measured, and what was left out."""
    rows = [
        {
            "bundle": str(one.bundle),
            "model": one.model,
            "engine": one.engine,
            **dataclasses.asdict(one.certificate),
            "left_out": [dataclasses.asdict(left) for left in one.left_out],
        }
        for one in results
    ]
    _print({"evaluated": rows})


def show_picked(need: Need, picked: Picked) -> None:
    """Print a guided choice, with what it was asked for."""
    rows = [{**dataclasses.asdict(one), "fits": one.pair.fits} for one in picked.choices]
    _print({"need": dataclasses.asdict(need), "choices": rows, "unranked": picked.unranked, "source": SOURCE})


def show_findings(what: str, findings: Sequence[Finding]) -> None:
    """Print what the doctor found."""
    rows = [
        {
            "severity": "error" if one.fatal else "warning",
            "code": one.code,
            "where": one.where,
            "what": one.what,
            "fix": one.fix,
        }
        for one in findings
    ]
    _print({"examined": what, "findings": rows})


def show_setup(purpose: str, checks: Sequence[Check]) -> None:
    """Print what was found of this machine and the AWS account, and whether `purpose` can be reached."""
    _print({"for": purpose, "ready": not stops(checks, purpose), "checks": [check._asdict() for check in checks]})


def _print(document: dict[str, Any]) -> None:
    print(json.dumps(document, default=str))
