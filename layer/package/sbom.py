"""One CycloneDX document of all that ships: https://cyclonedx.org/docs/1.6/json.

The wheels that were installed, with what their own lists of components name; the handler's files; every file of the
bundle; the base image. It holds no time but the bundle's own: the same package has the same document.
"""

import hashlib
import json
import re
import tomllib
import uuid
from collections.abc import Iterable, Mapping
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.utils import canonicalize_name

from layer.bundle.records import BundleFile, Manifest, ModelEntry
from layer.naming.validate import is_commit
from layer.package import base_image
from layer.package.digest import files
from layer.progress import file_sha256
from layer.registry import lambda_limits

NAME = "sbom.cdx.json"
SPEC_VERSION = "1.6"
PROJECT = Path(__file__).parents[2] / "pyproject.toml"
_COPIED = ("type", "group", "name", "version", "description", "hashes", "licenses", "purl")  # of a wheel's own list
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")
_LONGEST_LICENSE = 100  # characters: a longer one is the license's whole text, which ships with the package

Component = dict[str, Any]


def document(facts: Manifest, trees: Path, installed: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """Describe a package.

    `facts` is the bundle's manifest. `trees` holds `handler`, `dependencies` and `bundle` as they ship, and perhaps
    `handler_ext`. `installed` has name, version, filename and sha256 of every wheel in `dependencies`.
    """
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    ours = {"version": project["version"], "licenses": [_license(project["license"])]}
    distributions = _distributions(trees / "dependencies")
    parts = [
        {**_component("application", "handler"), **ours, "components": _file_components(trees / "handler")},
        *_own(trees / "handler_ext"),
        *(_wheel(wheel, distributions.get(canonicalize_name(wheel["name"]))) for wheel in installed),
        *(_model(model, facts.files) for model in facts.models),
        *_other_files(facts, trees / "bundle"),
        *([_base(facts.target.python)] if lambda_limits.SHAPES[facts.target.package].on_base_image else []),
    ]
    root = {**_component("application", "openclip-lambda"), **ours}
    body: dict[str, Any] = {
        "metadata": {"timestamp": facts.created_at, "component": root},
        "components": parts,
        "dependencies": [{"ref": root["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    content = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    head = {"bomFormat": "CycloneDX", "specVersion": SPEC_VERSION, "version": 1}
    return {**head, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}", **body}


def _component(kind: str, name: str, ref: str | None = None, sha256: str | None = None) -> Component:
    hashes = {"hashes": [{"alg": "SHA-256", "content": sha256}]} if sha256 else {}
    return {"type": kind, "bom-ref": ref or name, "name": name, **hashes}


def _own(root: Path) -> Iterable[Component]:
    """Yield code of the user's own, where the package has some: of no version or license that is known here."""
    if root.is_dir():
        yield {**_component("application", root.name), "components": _file_components(root)}


def _file_components(root: Path) -> list[Component]:
    named = {path.relative_to(root.parent).as_posix(): path for path in files(root)}
    return [_component("file", name, sha256=file_sha256(named[name])) for name in sorted(named)]


def _wheel(wheel: Mapping[str, str], distribution: Path | None) -> Component:
    purl = f"pkg:pypi/{canonicalize_name(wheel['name'])}@{quote(wheel['version'], safe='')}"
    found = {
        **_component("library", wheel["name"], purl, wheel["sha256"]),
        "version": wheel["version"],
        "purl": purl,
        "properties": [{"name": "openclip-lambda:wheel", "value": wheel["filename"]}],
    }
    if distribution is None:
        return found
    license = _stated_license(distribution / "METADATA")
    inside = list(_components_of(distribution, purl))
    return {**found, **({"licenses": [license]} if license else {}), **({"components": inside} if inside else {})}


def _distributions(dependencies: Path) -> dict[str, Path]:
    """Return the *.dist-info directories by the canonical names of their packages."""
    found = dependencies.glob("*.dist-info")
    return {canonicalize_name(path.name.removesuffix(".dist-info").rpartition("-")[0]): path for path in found}


def _stated_license(metadata: Path) -> Component | None:
    """Read a package's license: an SPDX expression, else a classifier, else a name (packaging.python.org)."""
    if not metadata.is_file():
        return None
    headers = HeaderParser().parsestr(metadata.read_text(encoding="utf-8", errors="replace"))
    if expression := headers.get("License-Expression"):
        return {"expression": expression.strip()}
    classified = [line for line in headers.get_all("Classifier", []) if line.startswith("License :: ")]
    name = classified[0].rpartition(" :: ")[2] if classified else (headers.get("License") or "").strip()
    return _license(name) if name and len(name) <= _LONGEST_LICENSE and "\n" not in name else None


def _components_of(distribution: Path, purl: str) -> Iterable[Component]:
    """Yield what a wheel's own lists name: the native libraries, crates, ... that are compiled into it (PEP 770)."""
    number = 0
    for path in sorted((distribution / "sboms").glob("*.json")):
        try:
            listed = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue  # the file itself ships, and is as its wheel's hash has it
        if not isinstance(listed, dict) or listed.get("bomFormat") != "CycloneDX":
            continue
        for one in listed.get("components", []):
            if not str(one.get("purl", "")).startswith(purl):  # auditwheel lists the wheel itself, too
                number += 1
                yield {**{key: one[key] for key in _COPIED if key in one}, "bom-ref": f"{purl}#{number}"}


def _model(model: ModelEntry, listed: Iterable[BundleFile]) -> Component:
    source = next((one for one in model.sources if "weights" in one.roles), None)
    repository, revision, license = (source.repo, source.revision, source.license) if source else ("", "", None)
    known = is_commit(revision) and _REPOSITORY.fullmatch(repository)
    prefix = f"models/{model.slug}/"
    return {
        **_component("machine-learning-model", model.id, f"model:{model.id}"),
        "description": f"engine {model.engine}, precision {model.precision}",
        **({"version": revision, "purl": f"pkg:huggingface/{repository}@{revision}"} if known else {}),
        **({"licenses": [_license(license)]} if license else {}),
        "components": [_data(row) for row in listed if row.path.startswith(prefix)],
    }


def _other_files(facts: Manifest, bundle: Path) -> Iterable[Component]:
    """Yield the files of the bundle that belong to no model: the manifest, at least."""
    prefixes = tuple(f"models/{model.slug}/" for model in facts.models)
    yield from (_data(row) for row in facts.files if not row.path.startswith(prefixes))
    yield _component("data", "manifest.json", "bundle:manifest.json", file_sha256(bundle / "manifest.json"))


def _data(row: BundleFile) -> Component:
    return _component("data", row.path, f"bundle:{row.path}", row.sha256)


def _base(python: str) -> Component:
    digest = base_image.base(python).digest
    where = f"repository_url={quote(f'{base_image.REGISTRY}/{base_image.REPOSITORY}', safe='/')}&tag={python}"
    at = f"@{quote(digest, safe='')}" if digest else ""
    purl = f"pkg:oci/{base_image.REPOSITORY.rpartition('/')[2]}{at}?{where}"
    sha256 = digest.removeprefix("sha256:") if digest else None
    name = f"{base_image.REGISTRY}/{base_image.REPOSITORY}"
    return {**_component("container", name, purl, sha256), "version": python, "purl": purl}


def _license(name: str) -> Component:
    return {"license": {"name": str(name)}}
