"""The packages that are measured: the one that is there, and those that the builder makes for other targets."""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import ROOT
from benchmarks.measure.errors import MeasureError
from benchmarks.measure.plan import Target

AGAIN = "run `make build package`"


class Package(NamedTuple):
    """A packaged bundle: what it is for, what is in it, and the hashes that tie figures to it."""

    folder: Path
    target: Target
    python: str
    models: list[dict[str, Any]]
    manifest_sha256: str
    package_sha256: str


def read(folder: Path) -> Package:
    """Read what `make package` wrote. Raises MeasureError naming the fix."""
    manifest, package = folder / "bundle" / "manifest.json", folder / "package.json"
    try:
        bundle_bytes, package_bytes = manifest.read_bytes(), package.read_bytes()
    except FileNotFoundError as error:
        raise MeasureError(f"{error.filename} is missing, so there is nothing to measure: {AGAIN}") from error
    try:
        facts, contract = json.loads(bundle_bytes), json.loads(package_bytes)
        target = Target(facts["target"]["package"], facts["target"]["architecture"])
        models = [{key: model[key] for key in ("id", "engine", "precision")} for model in facts["models"]]
        named, python = contract["manifest_sha256"], str(facts["target"]["python"])
    except (ValueError, KeyError, TypeError) as error:
        raise MeasureError(f"{folder} holds a damaged manifest.json or package.json ({error!r}): {AGAIN}") from error
    sha256 = hashlib.sha256(bundle_bytes).hexdigest()
    if named != sha256:
        raise MeasureError(f"{package} is of another bundle than {manifest}: {AGAIN}")
    return Package(folder, target, python, models, sha256, hashlib.sha256(package_bytes).hexdigest())


def prepare(target: Target, given: Package, spec: Path) -> Package:
    """Return the package for a target: the given one, or one that is built and packaged beside it."""
    if target == given.target:
        return given
    folder = given.folder / "measure" / f"{target.shape}-{target.architecture}"
    folder.mkdir(parents=True, exist_ok=True)
    changed = _retargeted(spec, target, given.python)
    try:
        bundle = str(folder / "bundle")
        _run("build", "--models", str(changed), "--output", bundle)
        _run("package", "--bundle", bundle, "--output", str(folder))
    finally:
        for path in (changed, changed.with_suffix(".lock")):
            path.unlink(missing_ok=True)
    return read(folder)


def _retargeted(spec: Path, target: Target, python: str) -> Path:
    """Write models.toml for another target beside it, since it may name files from there; and its lock."""
    try:
        text = spec.read_text(encoding="utf-8")
        wanted = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise MeasureError(f"{spec} cannot be read ({error}): name the build's with --models") from error
    keys = {"python": python, "architecture": target.architecture, "package": target.shape}
    wanted["target"] = {**wanted.get("target", {}), **keys}
    head, table, rest = text.partition("[target]")
    if not table:
        head, rest = "", f"\n\n{text}"
    body, gap, tail = rest.partition("\n[")
    for key in keys:
        body = re.sub(rf"(?m)^\s*{key}\s*=.*$\n?", "", body)
    lines = "".join(f'\n{key} = "{value}"' for key, value in keys.items())
    changed = f"{head}[target]{lines}\n{body}{gap}{tail}"
    if _parsed(changed) != wanted:
        raise MeasureError(
            f"[target] of {spec} is written in a way that cannot be changed here: build {target} yourself"
        )
    path = spec.with_name(f"{spec.stem}.{target.shape}-{target.architecture}.toml")
    path.write_text(changed, encoding="utf-8")
    lock = spec.with_suffix(".lock")
    if lock.exists():
        path.with_suffix(".lock").write_bytes(lock.read_bytes())
    return path


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def _run(command: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "layer", command, *arguments], cwd=ROOT, check=False)
    if done.returncode:
        raise MeasureError(f"`python -m layer {command}` ended with status {done.returncode}: its reason is above")
