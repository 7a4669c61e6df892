"""A build directory as `make package` leaves it, a few bytes large: synth reads names, sizes and hashes only."""

import hashlib
import json
import zipfile
from pathlib import Path

from infra.package import NOT_SHIPPED, NOT_SHIPPED_FOR_SEARCH, tree_sha256
from layer.package import function
from layer.spec import Target
from tests.unit import fake_bundle

ROOT = Path(__file__).parents[2]
ZIPS = {"function": "function.zip", "models": "layer.zip", "dependencies": "layer-deps.zip"}


def write(
    build: Path,
    shape: str = "image",
    architecture: str = "x86_64",
    python: str = "3.13",
    extras: tuple[str, ...] = ("batch", "search"),
    image_formats: tuple[str, ...] = (),
    vectors_sha256: str | None = None,
) -> Path:
    """Write bundle, artifacts and package.json for a target, and return the directory."""
    manifest = fake_bundle.write(build / "bundle") / "manifest.json"
    content = json.loads(manifest.read_text())
    if vectors_sha256:
        content["models"][0]["vectors_sha256"] = vectors_sha256
    content["target"] = {"python": python, "architecture": architecture, "package": shape}
    if image_formats:
        content["target"]["image_formats"] = list(image_formats)
    manifest.write_text(json.dumps(content))
    artifacts = [_image(build)] if shape == "image" else [_zip(build, role) for role in ZIPS]
    if "search" in extras:
        whole = tree_sha256(ROOT / "handler", NOT_SHIPPED_FOR_SEARCH)
        artifacts.append({**_image(build, "search", "search-image"), "handler_sha256": whole})
    package = {
        "schema": 1,
        "manifest_sha256": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        "handler_sha256": tree_sha256(ROOT / "handler", NOT_SHIPPED),
        "extras": list(extras),
        "artefacts": artifacts,
        "function": function.configuration(Target(python, architecture, shape), ["layer.zip", "layer-deps.zip"]),
    }
    (build / "package.json").write_text(json.dumps(package))
    return build


def _image(build: Path, role: str = "image", path: str = "image") -> dict[str, object]:
    (build / path).mkdir()
    told = "" if role == "image" else f"# {role}\n"  # one image is not the other
    (build / path / "Dockerfile").write_text(f"FROM public.ecr.aws/lambda/python:3.13\n{told}")
    return {"role": role, "path": path, "sha256": "0" * 64, "bytes": 40, "unzipped_bytes": 40}


def _zip(build: Path, role: str) -> dict[str, object]:
    path = build / ZIPS[role]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{role}.txt"), role)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "role": role,
        "path": path.name,
        "sha256": digest,
        "bytes": path.stat().st_size,
        "unzipped_bytes": len(role),
    }
