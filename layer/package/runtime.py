"""Install the runtime of a bundle's engines: wheels for the target, on any machine, then trimmed."""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer.errors import PackageError
from layer.package import pip, wheels
from layer.package.shared_objects import shrink
from layer.package.trim import trim
from layer.package.wheels import TORCH, Wheel
from layer.spec import Target

REQUIREMENTS = Path(__file__).with_name("requirements")
CPU_ADVICE = (
    "give --torch-index-url the CPU index that pytorch.org's \"Get started\" page shows: PyPI's torch is the one with "
    "CUDA, useless in Lambda and ten times too large"
)


@dataclass(frozen=True)
class Installed:
    """`trimmed`: files that went by each rule. `wheels`: name, version, filename and sha256 of each one installed."""

    trimmed: dict[str, int]
    wheels: list[dict[str, str]]


def install(engines: Iterable[str], target: Target, tree: Path, torch_index_url: str | None) -> Installed:
    """Install what the engines need at run time into `tree`, for the manifest's target, and trim it.

    The decoders of the target's `image_formats` are kept. Each package comes from one place: torch and torchvision only
    from `torch_index_url`, if that is given, all others from the index that pip is configured with. Raises PackageError
    if a wheel is not available, has another hash than the recorded one, or is torch with CUDA.
    """
    pins = wheels.recorded(engines, target)
    of_torch = [wheel for wheel in pins if wheel.name in TORCH]
    others = [wheel for wheel in pins if wheel.name not in TORCH]
    if torch_index_url:
        taken = install_pins(others, target, tree, None) + install_pins(of_torch, target, tree, torch_index_url)
    else:
        try:
            taken = install_pins(pins, target, tree, None)
        except PackageError as error:
            raise PackageError(f"{error}\n{CPU_ADVICE}" if of_torch else str(error)) from error
    if any(tree.rglob("libtorch_cuda.so")):
        raise PackageError(f"pip took a torch with CUDA: {CPU_ADVICE}")
    trimmed = trim(tree, target.image_formats or ())
    shrink(tree)
    return Installed(trimmed, sorted(taken, key=lambda one: one["name"]))


def install_pins(pins: list[Wheel], target: Target, tree: Path, index: str | None) -> list[dict[str, str]]:
    """Install exactly these wheels, and return pip's report of them. Raises PackageError."""
    if not pins:
        return []
    with tempfile.TemporaryDirectory(prefix="openclip-pins-") as scratch:
        requirements, report = Path(scratch) / "requirements.txt", Path(scratch) / "report.json"
        requirements.write_text("".join(f"{wheel.line}\n" for wheel in pins), encoding="utf-8")
        where = ("--target", str(tree), "--report", str(report))
        pip.install(["--require-hashes", *where, "-r", str(requirements)], target, index)
        return [_fact(item) for item in json.loads(report.read_text(encoding="utf-8"))["install"]]


def _fact(item: dict[str, Any]) -> dict[str, str]:
    """Read one row of pip's installation report (pip.pypa.io, "Installation Report")."""
    source = item["download_info"]
    return {
        "name": str(item["metadata"]["name"]),
        "version": str(item["metadata"]["version"]),
        "filename": str(source["url"]).rpartition("/")[2].partition("#")[0].replace("%2B", "+"),
        "sha256": str(source["archive_info"]["hashes"]["sha256"]),
    }
