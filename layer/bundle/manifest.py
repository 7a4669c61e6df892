"""Write and read manifest.json, the contract with the handler: every model's facts, every file's size and hash."""

import functools
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from console.setup.machine import elsewhere_fix
from layer.bundle.export_records import Export
from layer.bundle.manifest_check import check
from layer.bundle.quality_records import Certificate
from layer.bundle.records import NAME as NAME
from layer.bundle.records import SCHEMA as SCHEMA
from layer.bundle.records import BundleFile, Manifest, ModelEntry, ModelFacts, Source, as_json
from layer.errors import VerifyError
from layer.naming.validate import shown
from layer.progress import hash_files
from layer.spec import ModelSpec, Spec
from layer.versions import installed

if TYPE_CHECKING:
    from layer.sources.fetch import Fetched  # with the network: reading a manifest need not

Record = TypeVar("Record")

REBUILD = "build the bundle again with `python -m layer build`"
LIBRARIES = {
    "open_clip": "open_clip_torch",
    "torch": "torch",
    "transformers": "transformers",
    "huggingface_hub": "huggingface_hub",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
}


@dataclass(frozen=True)
class _Head:
    schema: object  # looked at before the rest, which another number may have in another form


def model_entry(
    model: ModelSpec,
    sources: "Sequence[Fetched]",
    facts: ModelFacts,
    export: Export | None = None,
    jpeg_decoding: str = "full",
) -> ModelEntry:
    """Join what was asked for, what was fetched, and what open_clip itself said of the model."""
    return ModelEntry(
        id=model.id,
        slug=model.slug,
        name=model.name,
        pretrained=model.pretrained,
        engine=model.engine,
        precision=model.precision,
        embed_dim=facts.embed_dim,
        image_size=facts.image_size,
        context_length=facts.context_length,
        logit_scale=facts.logit_scale,
        logit_bias=facts.logit_bias,
        preprocess=facts.preprocess,
        tokenizer=facts.tokenizer,
        golden=facts.golden,
        export=export,
        jpeg_decoding=jpeg_decoding,
        sources=[
            Source(one.repo, one.revision, list(one.roles), one.license, list(one.as_found) or None) for one in sources
        ],
    )


def write(bundle: Path, spec: Spec, models: list[ModelEntry]) -> None:
    """Hash every file of the bundle and write manifest.json beside them."""
    everything = (path.relative_to(bundle) for path in bundle.rglob("*") if path.is_file())
    paths = sorted(path for path in everything if path != Path(NAME))  # a trial's manifest is written more than once
    files = [
        BundleFile(path.as_posix(), (bundle / path).stat().st_size, digest)
        for path, digest in hash_files(bundle, paths, "hashing")
    ]
    write_facts(bundle, _facts(spec, models, files))


def joined(spec: Spec, parts: Sequence[Manifest]) -> Manifest:
    """Return the manifest of one bundle of the models of several, whose files were hashed when each was built.

    Its time is that of the newest model, so the same models again are the same bundle: nothing is deployed anew.
    """
    models = [model for part in parts for model in part.models]
    files = sorted((file for part in parts for file in part.files), key=lambda file: file.path)
    facts = _facts(spec, models, files)
    return replace(facts, created_at=max((part.created_at for part in parts), default=facts.created_at))


def same(one: Manifest, other: Manifest) -> bool:
    """Tell whether two manifests are equal except for their times."""
    return _timeless(one) == _timeless(other)


def _timeless(facts: Manifest) -> Manifest:
    models = [
        replace(model, quality=[replace(made, created_at="") for made in model.quality or ()] or None)
        for model in facts.models
    ]
    return replace(facts, created_at="", models=models, facts_sha256=None)


def with_quality_of(facts: Manifest, bundle: Path) -> Manifest:
    """Return the facts with the quality certificates that an earlier bundle has for unchanged models, code included.

    A certificate of the facts replaces the earlier one of the same data. Certificates that are left out are told.
    """
    try:
        earlier = {model.id: model for model in read(bundle).models}
    except VerifyError:
        return facts
    models = []
    for model in facts.models:
        before = earlier.get(model.id)
        known = before.quality if before and _of_vectors(before) == _of_vectors(model) else None
        if before and before.quality and not known and not model.quality:
            print(
                f"note: the figures of {model.id} were measured of other vectors, and are left out: "
                "`python -m layer evaluate` measures them anew",
                file=sys.stderr,
            )
        models.append(with_certificates(replace(model, quality=known), model.quality or ()) if known else model)
    return replace(facts, models=models)


def with_certificates(model: ModelEntry, new: Sequence[Certificate]) -> ModelEntry:
    """Return the model with these certificates, in the place of its older ones of the same data.

    Data is the same by its name. Where its contents are others, that is told: another folder may have the same name.
    An older one with the same figures stays: another time would be another bundle to deploy.
    """
    known = [replace(one, created_at="") for one in model.quality or ()]
    new = [one for one in new if replace(one, created_at="") not in known]
    by_data = {(one.kind, one.data): one for one in new}
    older = []
    for one in model.quality or ():
        in_place = by_data.get((one.kind, one.data))
        if in_place is None:
            older.append(one)
        elif in_place.sha256 != one.sha256:
            print(
                f"note: the earlier figures of {model.id} on {one.data} were of other images or texts, and are "
                "replaced: rename one of the two to have both",
                file=sys.stderr,
            )
    return replace(model, quality=[*older, *new] or None)


def _of_vectors(model: ModelEntry) -> ModelEntry:
    """Return the facts that figures depend on. Host blobs are left out: with them, vectors are bit-identical."""
    return replace(model, quality=None, host_blobs=None)


def write_facts(bundle: Path, facts: Manifest) -> None:
    """Write manifest.json into a bundle, the last of its files."""
    data = as_json(facts)
    data["facts_sha256"] = _digest(data)
    (bundle / NAME).write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")


def is_as_written(bundle: Path) -> bool:
    """Tell whether manifest.json has the values that were written; of an earlier builder's, nobody can say: true."""
    data = json.loads((bundle / NAME).read_bytes())
    return data.get("facts_sha256") in (None, _digest(data))


def _digest(data: dict[str, Any]) -> str:
    """Return a digest of the values, whatever their order and spacing, and of all but itself."""
    facts = {name: value for name, value in data.items() if name != "facts_sha256"}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _facts(spec: Spec, models: list[ModelEntry], files: list[BundleFile]) -> Manifest:
    created_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    versions = {name: installed(package) for name, package in LIBRARIES.items()}
    return Manifest(SCHEMA, created_at, spec.target, versions, models, files)


def read(bundle: Path) -> Manifest:
    """Read manifest.json. Raises VerifyError if it is missing, damaged, or of another schema."""
    path = bundle / NAME
    if bundle.is_file():
        raise VerifyError(f"{bundle} is a file: name the bundle's directory, which has {NAME} in it")
    try:
        raw = path.read_bytes()
        if (found := parse(_Head, raw).schema) != SCHEMA:
            raise VerifyError(f"{path} has schema {shown(found)}, this builder knows {SCHEMA}: {REBUILD}")
        manifest = parse(Manifest, raw)
        check(manifest)
    except FileNotFoundError as error:
        fix = elsewhere_fix(bundle) or "build a bundle with `python -m layer build`"
        raise VerifyError(f"{path} is missing: {fix}") from error
    except (OSError, ValueError) as error:
        reason = str(error) if type(error) is ValueError else repr(error)
        raise VerifyError(f"{path} is damaged ({reason}): {REBUILD}") from error
    return manifest


def parse(record: type[Record], raw: str | bytes) -> Record:
    """Read a record of `layer.bundle.records` from JSON. Raises ValueError naming the first value that is not of it."""
    try:
        found: Record = _adapter(record).validate_json(raw, strict=True)  # type: ignore[arg-type]  # hashable
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ValueError(f"{shown(where)}: {problem['msg']}" if where else problem["msg"]) from error
    return found


@functools.cache
def _adapter(record: type) -> TypeAdapter[Any]:
    """Return the reader of a record, made once: making it takes longer than reading."""
    return TypeAdapter(record)
