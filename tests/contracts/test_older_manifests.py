"""Bundles of earlier builders: served where the form is still read, else refused with the command that rebuilds.

`manifests/` holds what those builders wrote, golden samples cut down to one of each.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from handler import manifest as handler_manifest
from handler.errors import BundleError
from handler.http import dispatch
from handler.service import Service
from layer.bundle import manifest as layer_manifest
from layer.bundle.records import Manifest
from layer.doctor.own_process import examine
from layer.errors import VerifyError

MANIFESTS = Path(__file__).with_name("manifests")
REBUILD = "build the bundle again with `python -m layer build`"
HEALTH = {"requestContext": {"http": {"method": "GET"}}, "rawPath": "/health", "version": "2.0"}


def bundle_of(root: Path, name: str) -> Path:
    """Return a bundle with a manifest of `manifests/`, its files empty and of the sizes that it names."""
    content = (MANIFESTS / name).read_text(encoding="utf-8")
    for file in json.loads(content)["files"]:
        path = root / file["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            stream.truncate(file["size"])
    (root / "manifest.json").write_text(content, encoding="utf-8")
    return root


def test_a_bundle_from_before_the_stored_bound_is_read_by_both(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "schema-3-before-0.2.0.json")

    [served] = handler_manifest.load(bundle).models
    [built] = layer_manifest.read(bundle).models

    assert served.export is not None
    assert (served.id, served.export["image"]["activation_group"]) == ("openclip-lambda/shapes-i18n", 128)
    assert built.export is not None
    assert built.export.parity is not None
    assert (built.id, built.export.parity.required_cosine) == (served.id, None)


def test_a_bundle_of_schema_2_is_refused_by_both_with_the_command_that_rebuilds(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "schema-2.json")

    with pytest.raises(BundleError, match="has schema 2, this handler reads 3") as served:
        handler_manifest.load(bundle)
    with pytest.raises(VerifyError, match="has schema 2, this builder knows 3") as built:
        layer_manifest.read(bundle)

    assert REBUILD in str(served.value)
    assert REBUILD in str(built.value)


def test_the_doctor_names_a_bundle_of_schema_2(tmp_path: Path) -> None:
    found = {finding.code: finding for finding in examine(str(bundle_of(tmp_path, "schema-2.json")))}

    assert "its schema is 2" in found["bundle-outdated"].what
    assert "python -m layer build" in found["bundle-outdated"].fix


def test_a_function_with_a_bundle_of_schema_2_says_so_to_whoever_asks(tmp_path: Path) -> None:
    service = Service.start({"OPENCLIP_BUNDLE_DIR": str(bundle_of(tmp_path, "schema-2.json"))})

    response = dispatch.handle(service, HEALTH, None)

    assert response["statusCode"] == 503
    assert REBUILD in json.loads(response["body"])["reason"]


@pytest.mark.parametrize("name", sorted(path.name for path in MANIFESTS.iterdir()))
@pytest.mark.parametrize("key", ["schema", "target", "models", "files"])
def test_a_manifest_that_lacks_a_part_is_refused_with_the_command_that_rebuilds(
    tmp_path: Path, name: str, key: str
) -> None:
    data: dict[str, Any] = json.loads((MANIFESTS / name).read_text(encoding="utf-8"))
    del data[key]
    (tmp_path / "manifest.json").write_text(json.dumps(data))

    with pytest.raises(VerifyError, match="python -m layer build"):
        layer_manifest.read(tmp_path)


def test_keys_of_a_later_builder_are_ignored(tmp_path: Path) -> None:
    data: dict[str, Any] = json.loads((MANIFESTS / "schema-3-before-0.2.0.json").read_text(encoding="utf-8"))
    expected = layer_manifest.parse(Manifest, json.dumps(data))
    data["note"] = data["target"]["glibc"] = "new"
    data["files"][0]["mode"] = 0o644
    for model in data["models"]:
        for part in (model, *(value for value in model.values() if isinstance(value, dict)), model["sources"][0]):
            part["later"] = {"unknown": [1]}
    (tmp_path / "manifest.json").write_text(json.dumps(data))

    assert layer_manifest.read(tmp_path) == expected
