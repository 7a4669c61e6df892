"""What `make package` wrote, read as data: which artifacts there are, and that they are of this bundle and handler."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.errors import PackageError
from infra.settings import MAX_MEMORY, MIN_MEMORY

SCHEMA = 1
FIX = "run `make package`"
NOT_SHIPPED = ("serve", "search")  # of handler/
NOT_SHIPPED_FOR_SEARCH = ("serve",)
ARCHITECTURES = ("x86_64", "arm64")
PYTHON = re.compile(r"3\.[0-9]{1,2}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9]+)?")  # of an artifact: it lies beside package.json
SHA256 = re.compile(r"[0-9a-f]{64}")
OWN = "handler_ext"  # the name of code of the user's own, where it is packaged
OWN_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
DIGITS = 12  # of a hash, in names: as handler/batch/shard.py has it
METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
CONTEXTS = ("image", "search")  # roles that are a directory for Docker to build
ROLES = {"image": ("image",), "layer": ("function", "models")}  # what each shape cannot do without


@dataclass(frozen=True)
class Package:
    """One deployable package. `python` is as "3.13"; `architecture` x86_64 or arm64; `shape` image or layer."""

    shape: str
    python: str
    architecture: str
    manifest_sha256: str
    extras: tuple[str, ...]  # what `layer package --with` was given
    # By role: image (a directory), or function, models, dependencies (zip files); and perhaps search (a directory).
    artifacts: dict[str, Path]
    dimensions: int  # of a vector of the bundle's first model
    image_formats: tuple[str, ...] = ()  # what is decoded besides the formats that every package does
    memory: int | None = None  # MB of the function: of models.toml, else as the packager found it cheap and fast
    engines: tuple[str, ...] = ()  # of its models
    own_routes: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # methods by path, of code of the user's own
    bundle_vectors: str | None = None  # as the manifest names those of its first model, 64 hex digits
    own_preprocessing: str | None = None  # what tells its vectors from those of the bundle alone, as 64 hex digits

    @property
    def vectors_sha256(self) -> str:
        """Name which vectors may be compared: the first model's, unless code of the user's own preprocesses."""
        return self.own_preprocessing or self.bundle_vectors or self.manifest_sha256

    @property
    def vectors_id(self) -> str:
        """The beginning of `vectors_sha256`, as names of indexes and of a batch's files have it."""
        return self.vectors_sha256[:DIGITS]


def read_package(build: Path, handler: Path) -> Package:
    """Read `build/package.json` and the manifest of `build/bundle`.

    Raises PackageError where one is missing, or where bundle, handler or artifacts have changed since.
    """
    if not (build / "bundle" / "manifest.json").is_file():
        raise PackageError(f"{build / 'bundle'} holds no bundle: run `make build`, then `make package`")
    manifest_bytes = (build / "bundle" / "manifest.json").read_bytes()
    target = _target(build / "bundle" / "manifest.json", manifest_bytes)
    package = _read(build / "package.json")
    extras = tuple(map(str, package.get("extras", ())))
    again = f"run `python -m layer package{''.join(f' --with {extra}' for extra in extras)}`" if extras else FIX
    manifest_sha256 = hashlib.sha256(manifest_bytes).hexdigest()
    if package["manifest_sha256"] != manifest_sha256:
        raise PackageError(f"{build / 'package.json'} is of another bundle than {build / 'bundle'}: {again}")
    if package["handler_sha256"] != tree_sha256(handler, NOT_SHIPPED):
        raise PackageError(f"{handler} has changed since it was packaged: {again}")
    searches = [row for row in package["artefacts"] if row["role"] == "search"]
    if searches and searches[0].get("handler_sha256") != tree_sha256(handler, NOT_SHIPPED_FOR_SEARCH):
        raise PackageError(f"{handler / 'search'} has changed since it was packaged: {again}")
    own = _own(build, package.get("extension"), again)
    artifacts = {row["role"]: _artifact(build, row) for row in package["artefacts"]}
    if missing := [role for role in ROLES[target["package"]] if role not in artifacts]:
        raise PackageError(
            f"the bundle is for package {target['package']!r}, but {build / 'package.json'} has no {missing[0]}: {FIX}"
        )
    return Package(
        target["package"],
        target["python"],
        target["architecture"],
        manifest_sha256,
        extras,
        artifacts,
        target["dimensions"],
        target["image_formats"],
        target["memory"] or _memory(build, package.get("memory")),
        target["engines"],
        bundle_vectors=target["vectors"],
        **own,
    )


def _memory(build: Path, found: object) -> int | None:
    """Return the setting that the packager chose, in MB; None from a packager that did not choose one."""
    if found is None:
        return None
    if type(found) is not int or not MIN_MEMORY <= found <= MAX_MEMORY:
        raise PackageError(f"{build / 'package.json'} is damaged (its memory is {found!r}): {FIX}")
    return found


def _own(build: Path, extension: Any, again: str) -> dict[str, Any]:
    """Read what package.json says of code of the user's own, and refuse it where that has changed since."""
    if extension is None:
        if (build.absolute().parent / OWN / "__init__.py").is_file():  # it may be what asks who calls
            raise PackageError(
                f"{build.absolute().parent / OWN} is there, and the package was made without it: {again} with "
                "--extensions and that folder, or move it away"
            )
        return {}
    try:
        digest, source, vectors = (str(extension[key]) for key in ("sha256", "source", "vectors_sha256"))
        routes = {str(path): tuple(map(str, methods)) for path, methods in extension["routes"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise PackageError(f"{build / 'package.json'} is damaged (its extension lacks {error}): {FIX}") from error
    odd = [path for path in routes if not OWN_PATH.fullmatch(path) or {".", ".."} & set(path.split("/"))]
    if odd or any(set(methods) - set(METHODS) for methods in routes.values()):
        raise PackageError(f"{build / 'package.json'} has a route that no gateway takes: {FIX}")
    folder = build / source
    if (folder / "__init__.py").is_file() and tree_sha256(folder, hidden=False, name=OWN) != digest:
        raise PackageError(f"{folder} has changed since it was packaged: {again} with the same --extensions")
    return {"own_routes": routes, "own_preprocessing": vectors}


def _target(path: Path, manifest: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(manifest)
        target, dimensions = facts["target"], int(facts["models"][0]["embed_dim"])
        python, shape, architecture = target["python"], target["package"], target["architecture"]
        formats = tuple(map(str, target.get("image_formats") or ()))
        memory = None if target.get("memory") is None else int(target["memory"])
        engines = tuple(str(model["engine"]) for model in facts["models"])
        vectors = facts["models"][0].get("vectors_sha256")
        if vectors is not None and not SHA256.fullmatch(vectors):
            raise ValueError(f"vectors_sha256 is {vectors!r}")
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise PackageError(f"{path} is damaged ({error!r}): run `make build`, then `make package`") from error
    if shape not in ROLES or architecture not in ARCHITECTURES or not PYTHON.fullmatch(str(python)):
        raise PackageError(f"{path} has a target that Lambda does not have ({target!r}): run `make build`")
    names = {"python": python, "package": shape, "architecture": architecture}
    found = {"dimensions": dimensions, "image_formats": formats, "memory": memory, "engines": engines}
    return {**names, **found, "vectors": vectors}


def tree_sha256(root: Path, without: Collection[str] = (), hidden: bool = True, name: str | None = None) -> str:
    """Digest of a tree, as the packager takes it: of a line for each file, its path with `root`'s name, NUL, sha256.

    `without` are names at its top, `hidden` says whether names that begin with a dot count, `name` is the root's.
    """
    files = (
        path
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(root).parts[0] not in without
    )
    inside = {path.relative_to(root): path for path in files}
    names = {
        f"{name or root.name}/{part.as_posix()}".encode(): path
        for part, path in inside.items()
        if hidden or not any(piece.startswith(".") for piece in part.parts)
    }
    digest = hashlib.sha256()
    for line in sorted(names):
        digest.update(line + b"\0" + hashlib.sha256(names[line].read_bytes()).hexdigest().encode() + b"\n")
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        package: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PackageError(f"{path} is missing, so there is nothing to deploy: {FIX}") from error
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{path} is damaged ({error}): {FIX}") from error
    if not isinstance(package, dict) or package.get("schema") != SCHEMA:
        found = package.get("schema") if isinstance(package, dict) else "none"
        raise PackageError(f"{path} has schema {found!r}, this app reads {SCHEMA}: {FIX}")
    rows = package.get("artefacts")
    if {"manifest_sha256", "handler_sha256"} - set(package) or not isinstance(rows, list):
        raise PackageError(f"{path} is damaged (it lacks a digest or its artifacts): {FIX}")
    if not all(isinstance(row, dict) and {"role", "path", "bytes"} <= set(row) for row in rows):
        raise PackageError(f"{path} is damaged (an artifact without role, path or bytes): {FIX}")
    return package


def _artifact(build: Path, row: Mapping[str, Any]) -> Path:
    if not NAME.fullmatch(str(row["path"])):
        raise PackageError(f"package.json names {row['path']!r}, which is not a file or directory beside it: {FIX}")
    path = build / str(row["path"])
    if row["role"] in CONTEXTS:
        if not (path / "Dockerfile").is_file():
            raise PackageError(f"{path} has no Dockerfile: {FIX}")
    elif not path.is_file() or path.stat().st_size != row["bytes"]:
        raise PackageError(f"{path} is missing, or not of {row['bytes']:,} bytes as it was packaged: {FIX}")
    return path
