"""Record what a package is made of: `python -m layer.package.refresh [wheels | base | pyodide ...]`, or `make pins`.

`wheels` asks the package index for the sha256 of every pin in layer/package/requirements, for each engine and target;
`base` asks the registry for the digest of each base image; `pyodide` has npm lock what compiles for each Python. Look
at the difference before you commit it.
"""

import itertools
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from console.parser import Parser
from console.run import run
from layer.errors import BuildError, PackageError
from layer.package import base_image, pip, pyodide_refresh, wheels
from layer.package.runtime import REQUIREMENTS
from layer.package.wheels import TORCH, Wheel
from layer.spec import PYTHONS, Target

ENGINES = tuple(sorted(path.stem for path in REQUIREMENTS.glob("*.txt") if path.stem != "common"))
_REQUIREMENT = re.compile(r"^([A-Za-z0-9_.-]+==[^\s#]+)|^-r (\S+)", re.MULTILINE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status. An error is one message on stderr."""
    return run(lambda: _command(arguments), (BuildError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m layer.package.refresh", description="Record what packages hold.")
    parser.add_argument("what", nargs="*", choices=("wheels", "base", "pyodide"), help="default: all")
    parser.add_argument("--torch-index-url", help="torch's CPU index, for the hashes of torch and torchvision")
    parser.add_argument("--python", action="append", help="one target's Python, as 3.13 (default: all)")
    options = parser.parse_args(arguments)
    pythons = options.python or PYTHONS
    if not options.what or "wheels" in options.what:
        for engine, python, architecture in itertools.product(ENGINES, pythons, pip.MACHINE):
            print(refresh(engine, Target(python, architecture), options.torch_index_url), file=sys.stderr)
    if not options.what or "base" in options.what:
        for line in base_image.refresh(pythons):
            print(line, file=sys.stderr)
    if not options.what or "pyodide" in options.what:
        for line in pyodide_refresh.refresh(pythons):
            print(line, file=sys.stderr)


def refresh(engine: str, target: Target, torch_index_url: str | None) -> str:
    """Record the wheels of one engine for one target; returns a line that says the outcome of it.

    Where a target has no wheels of the engine, there is no file; a file that there is stays until it can be replaced.
    Raises PackageError where it cannot, or where the hashes of torch's CPU builds are not known: without
    `torch_index_url` those that are recorded of the same versions stay.
    """
    pins = _pins(REQUIREMENTS / f"{engine}.txt")
    of_torch = {name: version for name, version in pins.items() if name in TORCH}
    place = wheels.path(engine, target)
    try:
        found = _ask({name: version for name, version in pins.items() if name not in TORCH}, target, None)
    except PackageError as error:
        if place.is_file():
            raise
        return f"{place.name}: not written, pip finds no wheels: {str(error).splitlines()[-1]}"
    if of_torch:
        found += _ask(of_torch, target, torch_index_url) if torch_index_url else _kept(place, of_torch)
    header = (
        f"# Every wheel of engine {engine} for Python {target.python} on {target.architecture}.\n"
        "# `make pins` writes this file from layer/package/requirements.\n"
    )
    text = header + "".join(f"{wheel.line}\n" for wheel in sorted(found, key=lambda wheel: wheel.name))
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.name}.new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(place)
    return f"{place.name}: {len(found)} wheels"


def _pins(requirements: Path) -> dict[str, str]:
    """Read the pins of an engine, those of the files that it names included."""
    pins: dict[str, str] = {}
    for pin, other in _REQUIREMENT.findall(requirements.read_text(encoding="utf-8")):
        pins |= _pins(requirements.with_name(other)) if other else [pin.split("==")]
    return pins


def _ask(pins: dict[str, str], target: Target, index: str | None) -> list[Wheel]:
    """Ask an index which wheels it would give, and installs none. Raises PackageError."""
    with tempfile.TemporaryDirectory(prefix="openclip-pins-") as scratch:
        report = Path(scratch) / "report.json"
        where = ("--dry-run", "--target", str(Path(scratch) / "tree"), "--report", str(report))
        pip.install([*where, *(f"{name}=={version}" for name, version in pins.items())], target, index)
        rows = json.loads(report.read_text(encoding="utf-8"))["install"]
    asked = {canonicalize_name(name): name for name in pins}
    sources = {asked[canonicalize_name(row["metadata"]["name"])]: row["download_info"] for row in rows}
    return [Wheel(name, pins[name], (sources[name]["archive_info"]["hashes"]["sha256"],)) for name in pins]


def _kept(place: Path, pins: dict[str, str]) -> list[Wheel]:
    known = {wheel.name: wheel for wheel in wheels.read(place)} if place.is_file() else {}
    kept = [known[name] for name, version in pins.items() if name in known and known[name].version == version]
    if missing := [f"{name}=={version}" for name, version in pins.items() if name not in {one.name for one in kept}]:
        raise PackageError(
            f"{place.name} has no hash of {', '.join(missing)}: give --torch-index-url the CPU index that "
            'pytorch.org\'s "Get started" page shows'
        )
    return kept


if __name__ == "__main__":
    sys.exit(main())
