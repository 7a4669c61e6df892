"""Write manifest.json, the contract with the handler: every model's facts, every file's size and hash."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layer.bundle.manifest_check import check
from layer.errors import VerifyError
from layer.naming.checked import shown
from layer.progress import hash_files
from layer.spec import ModelSpec, Spec
from layer.versions import installed

if TYPE_CHECKING:
    from layer.sources.fetch import Fetched  # which imports torch: reading a manifest need not

SCHEMA = 3
NAME = "manifest.json"
LIBRARIES = {
    "open_clip": "open_clip_torch",
    "torch": "torch",
    "transformers": "transformers",
    "huggingface_hub": "huggingface_hub",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
}


def model_entry(
    model: ModelSpec, sources: "list[Fetched]", facts: Mapping[str, Any], jpeg_decoding: str = "full"
) -> dict[str, Any]:
    """Join what was asked for, what was fetched, and what open_clip itself said of the model."""
    return {
        "id": model.id,
        "slug": model.slug,
        "name": model.name,
        "pretrained": model.pretrained,
        "engine": model.engine,
        "precision": model.precision,
        "jpeg_decoding": jpeg_decoding,
        **facts,
        "sources": [
            {
                "repo": source.repo,
                "revision": source.revision,
                "roles": source.roles,
                "license": source.license,
                **({"as_found": source.as_found} if source.as_found else {}),
            }
            for source in sources
        ],
    }


def write(bundle: Path, spec: Spec, models: list[dict[str, Any]]) -> None:
    """Hash every file of the bundle and write manifest.json beside them."""
    everything = (path.relative_to(bundle) for path in bundle.rglob("*") if path.is_file())
    paths = sorted(path for path in everything if path != Path(NAME))  # a trial's manifest is written more than once
    files = [
        {"path": path.as_posix(), "size": (bundle / path).stat().st_size, "sha256": digest}
        for path, digest in hash_files(bundle, paths, "hashing")
    ]
    write_facts(bundle, _facts(spec, models, files))


def joined(spec: Spec, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the manifest of one bundle of the models of several, whose files were hashed when each was built."""
    models = [model for part in parts for model in part["models"]]
    files = sorted((file for part in parts for file in part["files"]), key=lambda file: str(file["path"]))
    return _facts(spec, models, files)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two manifests say the same but for when."""
    return json.dumps({**one, "created_at": ""}) == json.dumps({**other, "created_at": ""})


def write_facts(bundle: Path, facts: dict[str, Any]) -> None:
    """Write manifest.json into a bundle, the last of its files."""
    (bundle / NAME).write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")


def _facts(spec: Spec, models: list[dict[str, Any]], files: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "target": asdict(spec.target),
        "versions": {name: installed(package) for name, package in LIBRARIES.items()},
        "models": models,
        "files": files,
    }


def read(bundle: Path) -> dict[str, Any]:
    """Read manifest.json. Raises VerifyError where there is none that can be read."""
    path = bundle / NAME
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if manifest["schema"] != SCHEMA:
            raise VerifyError(
                f"{path} has schema {shown(manifest['schema'])}, this builder knows {SCHEMA}: "
                "build the bundle again with `python -m layer build`"
            )
        check(manifest)
    except FileNotFoundError as error:
        raise VerifyError(f"{path} is missing: build a bundle with `python -m layer build`") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else repr(error)
        raise VerifyError(f"{path} is damaged ({reason}): build the bundle again") from error
    return manifest
