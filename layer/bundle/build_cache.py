"""Keep each finished model as a verified bundle of its own, so that a build does not make an unchanged model again.

A model is found by the digest of everything that its bundle depends on: its lines of models.toml and models.lock, the
libraries, the code that exports and computes it, and the samples that it is compared on.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from layer.bundle import manifest
from layer.bundle.records import Manifest
from layer.errors import BuildError, VerifyError
from layer.files.own_samples import files as own_samples_files
from layer.naming import image_formats
from layer.sources.lock import LockedSource
from layer.spec import ModelSpec
from layer.versions import installed

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "layer" / "package" / "requirements"
CODE = (
    "layer/engines.py",
    "layer/export/*.py",
    "layer/files/own_samples.py",
    "layer/registry/patches.py",
    "layer/bundle/reference.py",
    "layer/bundle/*records.py",
    "layer/bundle/golden_texts.py",
    "layer/bundle/vectors.py",
    "layer/sources/hf_cache.py",
    "layer/demo/hub/*/refs/main",
    "handler/engines/*.py",
    *(  # what makes pixels; not what reads headers, or counts what an image costs
        f"handler/imaging/{name}.py"
        for name in ("as_decoded", "complete_pixels", "decode", "enlarge", "flatten", "gif", "heif_pixels", "jpeg*")
    ),
    *(f"handler/imaging/{name}.py" for name in ("orientation", "png*", "preprocess", "reduced", "webp")),
    "handler/golden.py",
    "handler/selfcheck.py",
)
LIBRARIES = (*manifest.LIBRARIES.values(), "timm", "tokenizers", "ftfy", "pillow")


@dataclass(frozen=True)
class Built:
    """A verified bundle of one model: its manifest, and the report of the shipped handler.

    `added` maps paths of the manifest to files that are not in `bundle` yet, as host blobs are.
    """

    bundle: Path
    facts: Manifest
    report: dict[str, Any]
    added: Mapping[str, Path] = field(default_factory=dict)


def fingerprint(model: ModelSpec, sources: Sequence[LockedSource], own_samples: Path | None) -> str:
    """Return the digest, 64 hex digits, of everything that the model's bundle depends on.

    It does not matter where the same files were found, nor when they were written: `sources` have their hashes.
    """
    samples = own_samples_files(own_samples) if own_samples else []
    known = {
        "model": _without(asdict(model), "cache", "checkpoint", "config"),
        "sources": [
            {**_without(asdict(source), "as_found"), "files": {n: f.sha256 for n, f in source.files.items()}}
            for source in sources
        ],
        "versions": {package: installed(package) for package in LIBRARIES},
        "decoders": decoder_pins(),
        "schema": manifest.SCHEMA,
        "code": code_digest(),
        "samples": [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in samples],
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _without(known: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {name: value for name, value in known.items() if name not in keys}


def find(cache: Path, model: ModelSpec, digest: str) -> Built | None:
    """Return the finished model; None if it is not there, or not complete and unmodified since it was verified."""
    place = _place(cache, model, digest)
    try:
        report = json.loads((place / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    bundle = place / "bundle"
    return Built(bundle, manifest.read(bundle), report) if unmodified(bundle) else None


def store(cache: Path, model: ModelSpec, digest: str, bundle: Path, report: dict[str, Any]) -> Built:
    """Move a verified bundle of one model into the cache, in full or not at all.

    It replaces the model's last one of this engine and precision. Those of other engines stay, for comparisons.
    """
    place = _place(cache, model, digest)
    aside = place.with_name(f"{place.name}.making")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    shutil.move(bundle, aside / "bundle")  # a copy where parts of the cache lie on two disks
    (aside / "report.json").write_text(json.dumps(report), encoding="utf-8")
    for older in place.parent.iterdir():
        named = older.name.rpartition("-")[0]
        if older != aside and named in (_kind(model), ""):  # "": of releases that kept one of all engines
            shutil.rmtree(older)
    aside.rename(place)
    return Built(place / "bundle", manifest.read(place / "bundle"), report)


def unmodified(bundle: Path) -> bool:
    """Tell whether a bundle has exactly the manifest's files, of their sizes, and its manifest is as it was written.

    No file may be newer than the manifest.
    """
    try:
        written = (bundle / manifest.NAME).stat().st_mtime_ns
        files = manifest.read(bundle).files
        stats = [((bundle / file.path).stat(), file.size) for file in files]
    except (OSError, VerifyError):
        return False
    if not manifest.is_as_written(bundle):
        return False  # `verify` refuses it, and says to build again
    names = sum(path.is_file() for path in bundle.rglob("*"))
    return names == len(files) + 1 and all(stat.st_size == size and stat.st_mtime_ns <= written for stat, size in stats)


def _place(cache: Path, model: ModelSpec, digest: str) -> Path:
    return cache / "built" / model.slug / f"{_kind(model)}-{digest}"


def _kind(model: ModelSpec) -> str:
    return f"{model.engine}-{model.precision}"


def code_digest(root: Path = ROOT, patterns: Sequence[str] = CODE) -> str:
    """Return the digest, 64 hex digits, of the code that exports and computes models: names and contents.

    Raises BuildError for a pattern that matches no file: otherwise a moved file would no longer count, unnoticed.
    """
    digest = hashlib.sha256()
    for pattern in patterns:
        paths = sorted(path for path in root.glob(pattern) if path.is_file())
        if not paths:
            raise BuildError(f"{pattern} matches no file of {root}: name the file's new place in {Path(__file__).name}")
        for path in paths:
            digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def decoder_pins() -> list[str]:
    """Return the pins of decoders that a package may add, as pillow-heif==1.8.1: this machine need not have them.

    They count in every bundle, as other libraries do: vectors stay comparable when image_formats of [target] changes.
    """
    files = (REQUIREMENTS / f"{name}.txt" for name in sorted(image_formats.requirements(image_formats.DECODERS)))
    lines = (line.partition("#")[0].strip() for file in files for line in file.read_text("utf-8").splitlines())
    return [line for line in lines if line]
