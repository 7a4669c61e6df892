"""Archives as other tools write them: an image by BuildKit, a zip of Windows, a layer with another top directory."""

import hashlib
import io
import json
import re
import shlex
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from layer.doctor.examine import examine
from tests.hub.saved import skopeo_directory

INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
HUB = ("var/lang/lib/python3.13/site-packages/huggingface_hub/__init__.py",)
GOOD = {"Env": ["HF_HUB_OFFLINE=1", "HF_HUB_CACHE=/opt/hub"]}


class Layout:
    """An OCI layout in a tar, blob by blob."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def blob(self, data: bytes, kind: str, **more: Any) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        self.files[f"blobs/sha256/{digest}"] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data), **more}

    def document(self, content: Mapping[str, Any], kind: str, **more: Any) -> dict[str, Any]:
        return self.blob(json.dumps({"schemaVersion": 2, "mediaType": kind, **content}).encode(), kind, **more)

    def image(self, config: Mapping[str, Any], files: tuple[str, ...] = HUB, **more: Any) -> dict[str, Any]:
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w:gz") as tar:
            for name in files:
                tar.addfile(tarfile.TarInfo(name))
        settings = self.blob(json.dumps({"config": config}).encode(), "application/vnd.oci.image.config.v1+json")
        layers = [self.blob(layer.getvalue(), "application/vnd.oci.image.layer.v1.tar+gzip")]
        return self.document({"config": settings, "layers": layers}, IMAGE, **more)

    def write(self, path: Path, *manifests: Mapping[str, Any]) -> str:
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        self.files["index.json"] = json.dumps(index).encode()
        with tarfile.open(path, "w") as tar:
            for name, data in self.files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        return str(path)


def codes(what: str) -> list[str]:
    return [finding.code for finding in examine(what)]


def attestation(layout: Layout) -> dict[str, Any]:
    """Describe one as BuildKit does: its docs/attestations/attestation-storage.md."""
    notes = {"vnd.docker.reference.digest": "sha256:0", "vnd.docker.reference.type": "attestation-manifest"}
    statement = layout.blob(b'{"_type": "https://in-toto.io/Statement/v0.1"}', "application/vnd.in-toto+json")
    unknown = {"architecture": "unknown", "os": "unknown"}
    return layout.document(
        {"config": layout.blob(b"{}", "application/vnd.oci.image.config.v1+json"), "layers": [statement]},
        IMAGE,
        annotations=notes,
        platform=unknown,
    )


def test_attestations_are_found_where_buildkit_puts_them(tmp_path: Path) -> None:
    layout = Layout()
    inner = layout.document({"manifests": [layout.image(GOOD), attestation(layout)]}, INDEX)

    assert codes(layout.write(tmp_path / "image.tar", inner)) == ["image-with-attestations"]


def test_an_image_without_attestations_in_an_index_of_its_own_is_sound(tmp_path: Path) -> None:
    layout = Layout()
    inner = layout.document({"manifests": [layout.image(GOOD)]}, INDEX)

    assert codes(layout.write(tmp_path / "image.tar", inner)) == []


def test_of_several_platforms_the_one_that_was_saved_is_examined(tmp_path: Path) -> None:
    layout = Layout()
    elsewhere = {"mediaType": IMAGE, "digest": f"sha256:{'0' * 64}", "size": 400}
    inner = layout.document({"manifests": [elsewhere, layout.image({"Env": ["HF_HUB_OFFLINE=0"]})]}, INDEX)

    assert codes(layout.write(tmp_path / "image.tar", inner)) == ["offline-not-true"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (HUB, ["offline-unset"]),
        (("var/task/onnxruntime-1.32.0.dist-info/METADATA",), []),
        (("opt/openclip/manifest.json",), []),
        (("etc/nginx/nginx.conf",), ["nothing-known"]),
    ],
)
def test_an_image_in_which_nothing_asks_the_hub_need_not_say_offline(
    tmp_path: Path, files: tuple[str, ...], expected: list[str]
) -> None:
    layout = Layout()

    assert codes(layout.write(tmp_path / "image.tar", layout.image({"Env": ["PATH=/bin"]}, files))) == expected


def write_zip(path: Path, names: list[str], system: int, attributes: int) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = system, attributes
            archive.writestr(entry, "")
    return str(path)


# PKWARE's APPNOTE, 4.4.2: 0 is MS-DOS, 10 NTFS, 14 VFAT, whose attributes (0x20: "archive") are no modes; 3 is Unix.
@pytest.mark.parametrize("system", [0, 10, 14])
def test_a_zip_that_windows_made_has_no_modes_to_be_wrong(tmp_path: Path, system: int) -> None:
    names = ["python/torch-2.13.0.dist-info/METADATA", "python/app.py"]

    assert codes(write_zip(tmp_path / "layer.zip", names, system, 0x20)) == []
    assert codes(write_zip(tmp_path / "unix.zip", names, 3, 0x20)) == ["not-readable"]


LIBRARY = "torch-2.13.0.dist-info/METADATA"
# AWS's "Packaging your layer content" and "Deployment package search path": what Python finds.
FOUND = ["", "python/", "python/lib/python3.13/site-packages/"]
NOT_FOUND = [
    *("opt/python/", "my-layer/python/", "Python/", "python/site-packages/", "site-packages/", "lib/"),
    *("python/venv/lib/python3.13/site-packages/", "package/"),
]


@pytest.mark.parametrize("folder", FOUND)
def test_packages_where_lambda_looks_are_sound(tmp_path: Path, folder: str) -> None:
    names = [f"{folder}{LIBRARY}", f"{folder}setuptools/_vendor/python/{LIBRARY}"]

    assert codes(write_zip(tmp_path / "layer.zip", names, 3, 0o100644 << 16)) == []


@pytest.mark.parametrize("folder", NOT_FOUND)
def test_packages_where_lambda_does_not_look_are_named(tmp_path: Path, folder: str) -> None:
    [finding] = examine(write_zip(tmp_path / "layer.zip", [f"{folder}{LIBRARY}"], 3, 0o100644 << 16))

    assert (finding.code, finding.detail) == ("packages-not-under-python", f"they are under {folder}")


def test_backslashes_are_told_which_make_no_directories_on_linux(tmp_path: Path) -> None:
    """As .NET before 4.6.1 wrote them, and PowerShell with it; APPNOTE 4.4.17 has slashes alone."""
    [finding] = examine(write_zip(tmp_path / "layer.zip", ["python\\app.py", "python\\numpy\\__init__.py"], 0, 0x20))

    assert finding.code == "packages-not-under-python"
    assert finding.detail.startswith("python\\app.py has backslashes in its name")


def test_a_function_may_have_a_directory_of_packages_that_its_code_names(tmp_path: Path) -> None:
    names = [f"vendor/{LIBRARY}", "app.py"]

    assert codes(write_zip(tmp_path / "function.zip", names, 3, 0o100644 << 16)) == []


def bundle_zip(path: Path, files: Mapping[str, bytes]) -> str:
    content = files.get("models/x/text.bin", b"")
    listed = [{"path": "models/x/text.bin", "size": 7, "sha256": hashlib.sha256(content).hexdigest()}]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {"manifest.json": json.dumps({"files": listed}).encode(), **files}.items():
            entry = zipfile.ZipInfo(f"openclip/{name}")
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return str(path)


def test_the_layers_that_package_writes_are_known_and_sound(tmp_path: Path) -> None:
    names = ["python/onnxruntime-1.32.0.dist-info/METADATA", "python/numpy-2.3.5.dist-info/METADATA"]

    assert codes(write_zip(tmp_path / "layer-deps.zip", names, 3, 0o100644 << 16)) == []
    assert codes(bundle_zip(tmp_path / "layer.zip", {"models/x/text.bin": b"weights"})) == []


@pytest.mark.parametrize(
    ("files", "where", "detail"),
    [
        ({}, "openclip/models/x/text.bin", "it is missing"),
        ({"models/x/text.bin": b"cut"}, "openclip/models/x/text.bin", "it has 3 bytes, 7 were built"),
        ({"models/x/text.bin": b"weights", "left": b""}, "openclip/left", "it is not in the manifest"),
        ({"manifest.json": b"{", "left": b""}, "openclip/manifest.json", "not JSON"),
    ],
)
def test_a_bundle_in_a_layer_is_compared_with_its_manifest(
    tmp_path: Path, files: dict[str, bytes], where: str, detail: str
) -> None:
    [finding] = examine(bundle_zip(tmp_path / "layer.zip", files))

    assert finding.code == ("unreadable" if "manifest" in where else "bundle-broken")
    assert finding.where == where
    assert finding.detail.startswith(detail)


@pytest.mark.parametrize("form", ["oci-layout", "docker save", "skopeo dir:"])
def test_an_image_in_a_directory_is_told_with_what_makes_a_tar_of_it(tmp_path: Path, form: str) -> None:
    folder, layout = tmp_path / ("d" * 200) / ("e" * 200) / "my image", Layout()
    layout.write(tmp_path / "image.tar", layout.image({}))
    if form == "docker save":
        settings, layer, _ = (name for name in layout.files if name.startswith("blobs/"))
        layout.files = {"config.json": layout.files[settings], "a/layer.tar": layout.files[layer]}
        layout.files["manifest.json"] = b'[{"Config": "config.json", "Layers": ["a/layer.tar"]}]'
    elif form == "skopeo dir:":
        layout.files = skopeo_directory(layout.files)
    for name, data in layout.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    [finding] = examine(str(folder))
    command = re.findall(r"tar -cf .*", finding.what)
    subprocess.run(shlex.split(*command), cwd=tmp_path, check=True)

    assert codes(str(tmp_path / "image.tar")) == ["offline-unset"]


def test_a_bundle_in_a_zip_is_told_to_be_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        for name in ("bundle/manifest.json", "bundle/models/acme--tiny/image.onnx"):
            archive.writestr(name, "{}")

    [told] = [one.what for one in examine(str(tmp_path / "bundle.zip")) if one.code == "nothing-known"]

    assert "this is a packed bundle: unpack it" in told


@pytest.mark.parametrize("beside", ["app.py", "fn/app.py", "torch-2.9.0.dist-info/METADATA"])
def test_a_bundle_beside_a_functions_code_or_packages_is_not_told_to_be_one(tmp_path: Path, beside: str) -> None:
    text = "import open_clip" if beside == "fn/app.py" else "{}"
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive, tarfile.open(tmp_path / "f.tar", "w") as packed:
        for name in ("bundle/manifest.json", "bundle/models/acme--tiny/image.onnx", beside):
            (tmp_path / "content").write_text(text)
            archive.write(tmp_path / "content", name)
            packed.add(tmp_path / "content", name)

    told = [one.detail for name in ("f.zip", "f.tar") for one in examine(str(tmp_path / name))]

    assert not [detail for detail in told if "packed bundle" in detail]
