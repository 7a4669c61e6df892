"""Function and layers as zips, unpacked where Lambda has them, and run as Lambda would on the bare base image."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.environment import environment
from infra.settings import StackSettings
from layer.registry.estimate import estimate
from layer.spec import ModelSpec, Spec, Target
from tests.e2e import container
from tests.e2e.ask import assert_as_open_clip, assert_takes_every_kind
from tests.e2e.builds import EXPORT_SECONDS, FULL_SIZE, Builds
from tests.e2e.packages import package, retarget
from tests.e2e.stand_in import base_image
from tests.local.emulator import Function

PYTHON = "3.13"
LIMIT = 262_144_000  # AWS: "Unzipped size must be smaller than 262144000 bytes"
pytestmark = pytest.mark.timeout(EXPORT_SECONDS + 300)


@dataclass(frozen=True)
class Zipped:
    """A bundle, its zips, and what package.json says of them."""

    bundle: Path
    output: Path

    @property
    def artifacts(self) -> dict[str, Any]:
        rows = json.loads((self.output / "package.json").read_text())["artefacts"]
        return {row["role"]: row for row in rows}

    def paths(self, *roles: str) -> list[Path]:
        return [self.output / self.artifacts[role]["path"] for role in roles]


@pytest.fixture(scope="module", params=["int8", FULL_SIZE], ids=["demo", FULL_SIZE])
def zipped(request: pytest.FixtureRequest, build: Builds) -> Zipped:
    output = build("layer", request.param)
    return Zipped(output / "bundle", output)


@pytest.fixture(scope="module")
def function(zipped: Zipped, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    root = tmp_path_factory.mktemp("unzipped")
    places = {
        "/var/task": container.unzip(zipped.paths("function"), root / "task"),
        "/opt": container.unzip(zipped.paths("models", "dependencies"), root / "opt"),
    }
    settings = StackSettings()
    for folder in (root, *root.parents[:1]):
        folder.chmod(0o755)  # pytest's are its user's alone
    with container.running(base_image(PYTHON), settings.memory, environment(settings), places) as running:
        yield running


def test_function_and_layers_are_under_the_limit_together(zipped: Zipped) -> None:
    sizes = {role: row["unzipped_bytes"] for role, row in zipped.artifacts.items()}

    print(f"{sizes}, {sum(sizes.values()):,} of {LIMIT:,}")
    assert set(sizes) == {"function", "models", "dependencies"}
    assert sum(sizes.values()) < LIMIT


def test_what_was_estimated_before_the_build_was_right(zipped: Zipped, tmp_path: Path) -> None:
    [entry] = json.loads((zipped.bundle / "manifest.json").read_text())["models"]
    model = ModelSpec(entry["name"], entry["pretrained"], None, entry["engine"], entry["precision"])

    [said] = estimate(Spec(Target(), (model,)), tmp_path)

    built = zipped.artifacts["models"]["unzipped_bytes"] - (zipped.bundle / "manifest.json").stat().st_size
    print(f"estimated {said.weights + said.tokenizer:,}, built {built:,}")
    assert built == pytest.approx(said.weights + said.tokenizer, rel=0.15)


def test_they_serve_what_open_clip_computed(zipped: Zipped, function: Function) -> None:
    assert_as_open_clip(function, zipped.bundle)


def test_what_was_trimmed_away_is_missed_by_no_caption_and_no_image(function: Function) -> None:
    assert_takes_every_kind(function)


def test_the_deep_health_check_passes_inside(zipped: Zipped, function: Function) -> None:
    status, report = function.get("/health", "deep=true")

    assert status == 200, report
    contract = json.loads((zipped.output / "package.json").read_text())
    assert report["manifest_sha256"] == contract["manifest_sha256"]


@pytest.mark.parametrize("zipped", ["int8"], ids=["demo"], indirect=True)
def test_packaging_again_gives_the_same_bytes(zipped: Zipped, tmp_path: Path) -> None:
    again = package(zipped.bundle, tmp_path / "again", "--cache", str(tmp_path / "cache"))  # installed anew, too

    assert (again / "package.json").read_bytes() == (zipped.output / "package.json").read_bytes()


@pytest.mark.parametrize("zipped", ["int8"], ids=["demo"], indirect=True)
def test_a_package_for_arm64_holds_its_libraries_and_no_other(zipped: Zipped, tmp_path: Path) -> None:
    shutil.copytree(zipped.bundle, tmp_path / "bundle")
    retarget(tmp_path / "bundle", architecture="arm64")
    output = package(tmp_path / "bundle", tmp_path / "packaged")

    with zipfile.ZipFile(output / "layer-deps.zip") as archive:
        names = [name for name in archive.namelist() if ".so" in Path(name).name]
        machines = {name: int.from_bytes(archive.read(name)[18:20], "little") for name in names}
    assert len(machines) > 10
    assert set(machines.values()) == {183}, machines  # EM_AARCH64 in the ELF specification
