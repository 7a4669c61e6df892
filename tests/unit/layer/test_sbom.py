"""The list of what ships: valid CycloneDX, and every wheel, file, model and license in it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from layer.bundle.records import BundleFile, Manifest
from layer.package import base_image, sbom
from tests.unit.manifests import COMMIT as REVISION
from tests.unit.manifests import SOURCE, TARGET, manifest_of, model

SHA256 = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("one", "torch", "weights", "loose")}
WHEELS = [
    {"name": "one_package", "version": "1.0", "filename": "one_package-1.0-py3-none-any.whl", "sha256": SHA256["one"]},
    {"name": "torch", "version": "2.0+cpu", "filename": "torch-2.0+cpu-cp313.whl", "sha256": SHA256["torch"]},
]
# As auditwheel 6.8 writes it: the wheel itself, and a library that was taken into it.
AUDITWHEEL = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.4",
    "version": 1,
    "components": [
        {
            "type": "library",
            "bom-ref": "a",
            "name": "one-package",
            "purl": "pkg:pypi/one-package@1.0?file_name=one.whl",
        },
        {"type": "library", "bom-ref": "b", "name": "libXau", "version": "1", "purl": "pkg:rpm/almalinux/libXau@1"},
    ],
}


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    written = {
        "handler/app.py": "app",
        "handler/__pycache__/app.cpython-313.pyc": "compiled",
        "dependencies/one_package-1.0.dist-info/METADATA": "Name: one_package\nLicense-Expression: MIT OR Apache-2.0\n",
        "dependencies/one_package-1.0.dist-info/sboms/auditwheel.cdx.json": json.dumps(AUDITWHEEL),
        "dependencies/one_package-1.0.dist-info/sboms/damaged.json": "{",
        "dependencies/torch-2.0+cpu.dist-info/METADATA": "Name: torch\nLicense: the whole\n        text\n",
        "bundle/manifest.json": "{}",
    }
    for name, content in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def facts(shape: str = "image", **source: Any) -> Manifest:
    files = [
        BundleFile("models/org--model/onnx/image.onnx", 7, SHA256["weights"]),
        BundleFile("NOTICE", 5, SHA256["loose"]),
    ]
    return manifest_of([model("org/model", sources=[replace(SOURCE, **source)])], files, replace(TARGET, package=shape))


def named(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {component["name"]: component for component in document["components"]}


def digest_of(component: dict[str, Any]) -> str:
    (found,) = component["hashes"]
    assert found["alg"] == "SHA-256"
    return str(found["content"])


@pytest.mark.parametrize("shape", ["image", "layer"])
@pytest.mark.parametrize("source", [{}, {"repo": "/home/me/my model", "revision": "", "license": None}])
def test_the_document_is_valid(trees: Path, shape: str, source: dict[str, Any]) -> None:
    document = sbom.document(facts(shape, **source), trees, WHEELS)

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    references = [one["bom-ref"] for top in document["components"] for one in (top, *top.get("components", []))]
    assert len(references) == len(set(references))


def test_every_wheel_has_its_purl_its_hash_its_license_and_what_is_compiled_into_it(trees: Path) -> None:
    found = named(sbom.document(facts(), trees, WHEELS))

    one, torch = found["one_package"], found["torch"]
    assert (one["purl"], digest_of(one)) == ("pkg:pypi/one-package@1.0", SHA256["one"])
    assert one["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert [inner["purl"] for inner in one["components"]] == ["pkg:rpm/almalinux/libXau@1"]
    assert (torch["purl"], digest_of(torch)) == ("pkg:pypi/torch@2.0%2Bcpu", SHA256["torch"])
    assert "licenses" not in torch  # a text of many lines is not a name


def test_every_file_of_the_handler_and_of_the_bundle_has_its_hash(trees: Path) -> None:
    found = named(sbom.document(facts(), trees, WHEELS))

    assert [(one["name"], digest_of(one)) for one in found["handler"]["components"]] == [
        ("handler/app.py", hashlib.sha256(b"app").hexdigest())
    ]
    model = found["org/model"]
    assert (model["type"], model["purl"]) == ("machine-learning-model", f"pkg:huggingface/org/model@{REVISION}")
    assert model["licenses"] == [{"license": {"name": "apache-2.0"}}]
    assert [(one["type"], one["name"], digest_of(one)) for one in model["components"]] == [
        ("data", "models/org--model/onnx/image.onnx", SHA256["weights"])
    ]
    assert digest_of(found["NOTICE"]) == SHA256["loose"]
    assert digest_of(found["manifest.json"]) == hashlib.sha256(b"{}").hexdigest()


def test_the_base_image_is_named_with_its_digest_where_one_is_recorded(
    trees: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, where = "public.ecr.aws/lambda/python", "?repository_url=public.ecr.aws/lambda/python&tag=3.13"
    monkeypatch.setattr(base_image, "base", lambda python: base_image.Base(f"{name}:{python}", None, None))
    assert named(sbom.document(facts(), trees, WHEELS))[name]["purl"] == f"pkg:oci/python{where}"
    pinned = base_image.Base(f"{name}:3.13", "sha256:" + "a" * 64, None)
    monkeypatch.setattr(base_image, "base", lambda _: pinned)
    base = named(sbom.document(facts(), trees, WHEELS))[name]

    assert (base["purl"], digest_of(base)) == (f"pkg:oci/python@sha256%3A{'a' * 64}{where}", "a" * 64)
    assert name not in named(sbom.document(facts("layer"), trees, WHEELS))  # Lambda's own runtime, which AWS patches


def test_the_same_package_has_the_same_document_and_another_one_another_number(trees: Path) -> None:
    first, again = (sbom.document(facts(), trees, WHEELS) for _ in range(2))
    other = sbom.document(facts(), trees, WHEELS[:1])

    assert first == again
    assert first["serialNumber"] != other["serialNumber"]
