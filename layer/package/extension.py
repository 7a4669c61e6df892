"""Add the user's own code to a package: copy it, install its requirements, and have the handler check it."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from layer.bundle import sandbox
from layer.errors import PackageError
from layer.files import text_file
from layer.package import pip, runtime, tree
from layer.package.digest import files, tree_sha256
from layer.package.wheels import Wheel
from layer.progress import file_sha256
from layer.spec import Target

NAME = "handler_ext"
REQUIREMENTS = "requirements.txt"
STANDS_AT = f"/var/task/{NAME}"
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*)(\[[\w,. -]*\])?"
    r"==(?P<version>[^\s;]+)(?P<hashes>(\s+--hash=sha256:[0-9a-f]{64})+)"
)


@dataclass(frozen=True)
class Extension:
    """What was added to a package: `contract` is its part of package.json, `wheels` are the installed requirements."""

    contract: dict[str, Any]
    wheels: list[dict[str, str]]


def add(source: Path, trees: Path, target: Target, bundle: Path, output: Path, present: Collection[str]) -> Extension:
    """Copy `source` to `trees / NAME`, and what it requires into `trees / "dependencies"`.

    `present` are the names of the packages that are there already. Raises PackageError, naming file and fix.
    """
    if not (source / "__init__.py").is_file():
        raise PackageError(
            f"{source} has no __init__.py, which is where code of your own begins: give the path of your {NAME}, or "
            "make one with `python -m layer init`"
        )
    place = trees / NAME
    tree.copy(source, place, [path.name for path in source.iterdir() if path.name.startswith(".")])
    for hidden in list(place.rglob(".*")):  # what editors and shells leave, and a .env
        shutil.rmtree(hidden) if hidden.is_dir() else hidden.unlink(missing_ok=True)
    wheels = _requirements(place / REQUIREMENTS, source / REQUIREMENTS)
    with tempfile.TemporaryDirectory(prefix="openclip-own-") as scratch:
        own = Path(scratch)
        installed = _install(source, wheels, target, own, present)
        report = _checked(source, place, own, bundle)
        if report["sha256"] != tree_sha256(place):
            raise PackageError(
                f"{source} has a link or a file that cannot be packaged as it is: have plain files in it"
            )
        _merge(own, trees / "dependencies", source)
    contract = {
        **{key: report[key] for key in ("sha256", "routes", "hooks", "own_preprocessing", "vectors_sha256")},
        "files": {path.relative_to(place).as_posix(): file_sha256(path) for path in sorted(files(place))},
        "requirements": installed,
        "source": Path(os.path.relpath(source, output)).as_posix(),
    }
    return Extension(contract, installed)


def _requirements(place: Path, named: Path) -> list[Wheel]:
    """Read pins with their hashes, as `pip-compile --generate-hashes` writes them too.

    `place` is the copy, `named` the user's own file. Raises PackageError.
    """
    if not place.is_file():
        return []
    wheels = []
    try:
        text = re.sub(r"\s*\\\n\s*", " ", text_file.read(place))
    except (OSError, ValueError) as error:
        raise PackageError(f"{named} {getattr(error, 'strerror', None) or error}") from error
    for line in (line.partition(" #")[0].strip() for line in text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if (found := _PIN.fullmatch(line)) is None:
            if ";" in line:
                raise PackageError(
                    f"{named}: {line.partition(' --')[0]!r:.120} has a marker, by which each machine takes its own "
                    "packages: remove it, or the line, as the function's Python and processor need it"
                )
            raise PackageError(
                f"{named}: {line.partition(' ')[0]!r:.80} is not name==version --hash=sha256:...: pin every package "
                "that is needed, those of packages too (`pip-compile --generate-hashes` writes such a file)"
            )
        wheels.append(Wheel(found["name"], found["version"], tuple(re.findall("[0-9a-f]{64}", found["hashes"]))))
    return wheels


def _install(
    source: Path, wheels: list[Wheel], target: Target, own: Path, present: Collection[str]
) -> list[dict[str, str]]:
    twice = {canonicalize_name(wheel.name) for wheel in wheels} & {canonicalize_name(name) for name in present}
    if twice:
        name = sorted(twice)[0]
        raise PackageError(
            f"{source / REQUIREMENTS}: {name} is part of the package already: remove its line, import it"
        )
    try:
        return sorted(runtime.install_pins(wheels, target, own, None), key=lambda one: one["name"])
    except pip.PipError as error:
        reason = (
            "a wheel has another sha256 than stands there: `pip-compile --generate-hashes` writes those of all builds"
            if error.other_hash
            else f"pip finds no wheel of a package for Python {target.python} on {target.architecture}: take a version "
            "that has one, and check the network"
        )
        raise PackageError(
            f"{source / REQUIREMENTS} cannot be installed for the target: {reason}\n{error.said}"
        ) from error


def _checked(source: Path, place: Path, own: Path, bundle: Path) -> Mapping[str, Any]:
    """Have the shipped handler import and check it, without a network. Raises PackageError with its words."""
    path = os.pathsep.join(map(str, (sandbox.ROOT, own)))
    run = sandbox.run(bundle, ["-B", "-m", "handler.extensions", str(place.absolute())], {"PYTHONPATH": path})
    try:
        report: dict[str, Any] = json.loads(run.stdout)
    except ValueError as error:
        raise PackageError(f"{source} cannot be checked: {sandbox.reason(run)}") from error
    if report.get("ok"):
        return report
    compiled = any(own.rglob("*.so"))
    here = (
        f". It was tried with this machine's Python; what {REQUIREMENTS} brings is compiled for the target: if that is "
        "the reason, import it inside the function that needs it"
        if compiled
        else ""
    )
    raise PackageError(f"{source} would keep the function from starting: {report.get('reason')}{here}")


def _merge(own: Path, dependencies: Path, source: Path) -> None:
    shutil.rmtree(own / "bin", ignore_errors=True)  # command line tools
    for path in files(own):
        inside = path.relative_to(own)
        if (dependencies / inside).exists():
            raise PackageError(
                f"{source / REQUIREMENTS} brings {inside.as_posix()}, which the package has already: remove the line"
            )
    tree.copy(own, dependencies)
