"""Add host blobs to a bundle: towers that OpenVINO has compiled for a kind of host. The shipped handler makes them.

The cache keeps them as `blobs/<slug>/<digest of the model's files>/<kind of host>`. All kinds that it has go into the
bundle: a cache that was used on hosts of several kinds gives a bundle with blobs for each.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from layer.bundle import build_cache, manifest, sandbox, verify
from layer.bundle.assemble import assemble
from layer.bundle.blob_records import HostBlob
from layer.bundle.build_cache import Built
from layer.bundle.records import BundleFile, as_json
from layer.errors import ExportError
from layer.progress import hash_files
from layer.sources.hf_cache import open_to_all
from layer.spec import Spec

WRITER = "handler.engines.write_blobs"
RECORD = "blobs.json"
CODE = ("handler/engines/*.py",)


def with_blobs(parts: Sequence[Built], spec: Spec, cache: Path) -> list[Built]:
    """Return every model's bundle with all host blobs of the cache, after making this host's if they are missing.

    Raises ExportError if this host can make none, VerifyError if the handler does not start with them.
    """
    kind = sandbox.run(parts[0].bundle, ["-m", WRITER, "--processor"]).stdout.strip()
    if not kind:
        raise ExportError(
            "host_blob = true in [target], and this system does not list its processor's features: build on x86_64 and "
            "Linux, on a host of the kind that the function runs on, or remove host_blob from models.toml"
        )
    return [_with_blobs(part, spec, cache, kind) for part in parts]


def _with_blobs(part: Built, spec: Spec, cache: Path, kind: str) -> Built:
    [model] = part.facts.models
    folder = cache / "blobs" / model.slug / _digest(part)
    if not _known(folder / kind):
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        _make(part, spec, folder / kind)
    found = [known for place in sorted(folder.iterdir()) if (known := _known(place))]
    return _joined(part, found)


def _make(part: Built, spec: Spec, place: Path) -> None:
    """Write this host's blobs into a scratch directory, check that the handler uses them, and move them to `place`."""
    [model] = part.facts.models
    with tempfile.TemporaryDirectory(prefix=".making-", dir=place.parent) as scratch:
        aside, trial = Path(scratch) / place.name, Path(scratch) / "bundle"
        aside.mkdir()
        arguments = ["-m", "layer.bundle.runtime_only", WRITER]
        run = sandbox.run(part.bundle, [*arguments, "--bundle", str(part.bundle.resolve()), "--output", str(aside)])
        if run.returncode != 0:
            raise ExportError(
                f"OpenVINO makes no host blob of {model.id}: {sandbox.reason(run, aside)}: remove host_blob from "
                "models.toml, and report it"
            )
        names = sorted(path.relative_to(aside) for path in aside.iterdir())
        files = [
            BundleFile(name.as_posix(), (aside / name).stat().st_size, digest)
            for name, digest in hash_files(aside, names, "hashing")
        ]
        record = {"blobs": json.loads(run.stdout), "files": as_json(files)}
        (aside / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        open_to_all(aside)
        made = _joined(part, [(aside, record)])
        assemble([made], manifest.joined(spec, [made.facts]), trial)
        _refuse_unused(model.id, verify.run_handler(trial, needs_torch=False))
        shutil.rmtree(place, ignore_errors=True)
        aside.rename(place)


def _refuse_unused(model_id: str, report: dict[str, Any]) -> None:
    [model] = report["models"]
    if set(model.get("compiled", {}).values()) != {"host blob"}:
        raise ExportError(
            f"the handler does not use the host blobs of {model_id} on the host that made them: remove host_blob from "
            "models.toml, and report it"
        )


def _joined(part: Built, found: Sequence[tuple[Path, dict[str, Any]]]) -> Built:
    """Return the part with the blobs of some places, each with its record."""
    [model] = part.facts.models
    blobs = [HostBlob(**row) for _, record in found for row in record["blobs"]]
    files, added = [], {}
    for place, record in found:
        for file in record["files"]:
            path = f"models/{model.slug}/openvino/{file['path']}"
            files.append(BundleFile(path, file["size"], file["sha256"]))
            added[path] = place / file["path"]
    every = sorted([*part.facts.files, *files], key=lambda file: file.path)
    facts = replace(part.facts, models=[replace(model, host_blobs=blobs)], files=every)
    return replace(part, facts=facts, added=added)


def _known(place: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return a place with its record; None if a file is missing or changed."""
    try:
        record = json.loads((place / RECORD).read_text(encoding="utf-8"))
        whole = [hashlib.sha256((place / file["path"]).read_bytes()).hexdigest() for file in record["files"]]
        return (place, record) if whole == [file["sha256"] for file in record["files"]] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(part: Built) -> str:
    """Return the digest of what blobs depend on besides the host: the files, OpenVINO, and the handler's engines."""
    files = [(file.path, file.sha256) for file in part.facts.files]
    known = [files, part.facts.versions["openvino"], build_cache.code_digest(patterns=CODE)]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def _sweep(folder: Path) -> None:
    """Remove the blobs of other files and versions, and what a build that was killed left behind."""
    for other in folder.parent.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    for left in folder.glob(".making-*"):
        shutil.rmtree(left, ignore_errors=True)
