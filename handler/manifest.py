"""Read manifest.json at every start, and check that each file of the bundle is there with its size.

docs/manifest.schema.json describes the format. Unknown keys are ignored; another schema number is refused.
"""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from handler.errors import BundleError, ModelNotFoundError

SCHEMA = 3
TEXT, IMAGE = MODALITIES = ("text", "image")  # what a model embeds, each with a tower of its own
HOST_BLOB = ".blob"  # the ending of files that no model needs: a start does not fail for them
REBUILD = "build the bundle again with `python -m layer build` and deploy that"


class BundleFile(NamedTuple):
    """One file: `path` relative to the bundle, `size` in bytes, `sha256` as 64 hex digits."""

    path: str
    size: int
    sha256: str


class Golden(NamedTuple):
    """What open_clip itself computed at build: token ids, and unit-length embeddings as base64 of float32."""

    texts: list[str]
    token_ids: list[list[int]]
    text_embeddings: list[str]
    images: list[str]  # PNG, base64
    image_embeddings: list[str]
    tokenized_texts: Sequence[str] = ()  # texts of which only the token ids are compared
    tokenized_ids: Sequence[list[int]] = ()


class ModelEntry(NamedTuple):
    """One model of the bundle. `name` and `pretrained` are what open_clip calls it; `id` is what clients call it."""

    id: str
    slug: str
    name: str
    pretrained: str | None
    engine: str
    precision: str
    embed_dim: int
    image_size: tuple[int, int]  # height, width
    context_length: int
    logit_scale: float
    logit_bias: float | None
    preprocess: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    golden: Golden
    jpeg_decoding: str = "full"  # or "reduced": large JPEGs at a scale that leaves what the model sees
    export: Mapping[str, Any] | None = None  # of a fast engine: how the towers were made, and how exact they are
    sources: Sequence[Mapping[str, Any]] = ()  # the repositories it was made from, and the `roles` of each
    host_blobs: Sequence[Mapping[str, Any]] = ()  # of openvino: towers that were compiled for a kind of host
    vectors_sha256: str = ""  # a digest of all that its vectors depend on; "" of a builder that did not write it


class Manifest(NamedTuple):
    """manifest.json, its bytes and where it was found."""

    bundle_dir: Path
    raw: bytes
    models: tuple[ModelEntry, ...]
    files: tuple[BundleFile, ...]
    created_at: str = ""  # UTC, as 2026-11-26T18:40:26Z
    image_formats: tuple[str, ...] = ()  # names of handler.imaging.added_formats that the package decodes, too

    @property
    def sha256(self) -> str:
        """The digest of manifest.json itself: it names the bundle, with its times and figures."""
        return _sha256(self.raw)

    def vectors_sha256(self, preprocessing: str = "", model_id: str | None = None) -> str:
        """Return what names a model's vectors, or, with `preprocessing` of the deployment's own, a digest of both.

        Only vectors with equal digests, and with equal `Settings.of_vectors`, may be compared.
        """
        ours = self.model(model_id).vectors_sha256 or self.sha256
        return _sha256(f"{ours}\n{preprocessing}".encode()) if preprocessing else ours

    def model(self, model_id: str | None) -> ModelEntry:
        """Find a model by its id; None means the bundle's first. Raises ModelNotFoundError."""
        for entry in self.models:
            if model_id in (None, entry.id):
                return entry
        raise ModelNotFoundError(model_id or "", [entry.id for entry in self.models])


def load(bundle_dir: Path) -> Manifest:
    """Read manifest.json and check that each of its files is there with its size (hashes: `changed_files`).

    Raises BundleError naming the file and the fix.
    """
    path = bundle_dir / "manifest.json"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}): build a bundle with `python -m layer build` "
            "and point OPENCLIP_BUNDLE_DIR to it"
        ) from error
    manifest = _parse(bundle_dir, raw)
    for file in manifest.files:
        if not file.path.endswith(HOST_BLOB):
            _check_size(bundle_dir, file)
    return manifest


def changed_files(manifest: Manifest) -> Iterator[str]:
    """Hash every file, and yield a message for each one that is missing or changed. Reads the whole bundle."""
    import hashlib

    for file in manifest.files:
        try:
            with (manifest.bundle_dir / file.path).open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            yield f"{file.path} is missing: {REBUILD}"
            continue
        if found != file.sha256:
            yield f"{file.path} has sha256 {found}, built was {file.sha256}: {REBUILD}"


@functools.cache  # every response names its vectors
def _sha256(raw: bytes) -> str:
    """Hash with the interpreter's built-in module if it has one: hashlib loads OpenSSL, 2 ms of a cold start."""
    for name in ("_sha2", "_sha256", "hashlib"):  # CPython from 3.12, CPython 3.11, any Python
        try:
            digest: str = import_module(name).sha256(raw).hexdigest()
        except ModuleNotFoundError:
            continue
        return digest
    raise ModuleNotFoundError("this Python has no hashlib")


def _parse(bundle_dir: Path, raw: bytes) -> Manifest:
    try:
        data = json.loads(raw)
        if data["schema"] != SCHEMA:
            raise BundleError(f"manifest.json has schema {data['schema']}, this handler reads {SCHEMA}: {REBUILD}")
        return Manifest(
            bundle_dir=bundle_dir,
            raw=raw,
            models=tuple(_entry(model) for model in data["models"]),
            files=tuple(_file(file) for file in data["files"]),
            created_at=str(data.get("created_at", "")),
            image_formats=tuple(map(str, data.get("target", {}).get("image_formats") or ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{bundle_dir / 'manifest.json'} is damaged ({error!r}): {REBUILD}") from error


def _entry(data: dict[str, Any]) -> ModelEntry:
    height, width = data["image_size"]
    if "/" in _inside(data["slug"]):
        raise ValueError(f"slug {data['slug']!r} is not the name of a directory")
    golden = Golden(**_known(Golden, data["golden"]))
    _digest(data.get("vectors_sha256", ""))
    return ModelEntry(**{**_known(ModelEntry, data), "image_size": (height, width), "golden": golden})


def _known(record: type, data: dict[str, Any]) -> dict[str, Any]:
    """Return only the keys that a record has: a later builder may write more of them."""
    return {name: data[name] for name in record.__annotations__ if name in data}


def _file(data: dict[str, Any]) -> BundleFile:
    _inside(data["path"])
    return BundleFile(**_known(BundleFile, data))


def _digest(value: str) -> None:
    """Raise ValueError for what is not a sha256, or "". It becomes a part of paths and of a header."""
    if value.strip("0123456789abcdef") or len(value) not in (0, 64):
        raise ValueError(f"vectors_sha256 {value!r} is not a sha256")


def _inside(path: str) -> str:
    """Return a path that stays in the bundle. Raises ValueError for any other."""
    if "\\" in path or "\0" in path or {"", ".", ".."} & set(path.split("/")):
        raise ValueError(f"path {path!r} leads out of the bundle")
    return path


def _check_size(bundle_dir: Path, file: BundleFile) -> None:
    try:
        size = (bundle_dir / file.path).stat().st_size
    except FileNotFoundError as error:
        raise BundleError(f"{file.path} is missing from {bundle_dir}: {REBUILD}") from error
    except PermissionError as error:
        raise BundleError(
            f"{bundle_dir / file.path} may not be read by this user: make the bundle world-readable "
            "(`chmod -R a+rX`), as `python -m layer build` does"
        ) from error
    if size != file.size:
        raise BundleError(f"{file.path} has {size} bytes, built were {file.size}: {REBUILD}")
