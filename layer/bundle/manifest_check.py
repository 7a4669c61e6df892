"""Check that no value of a manifest.json leads out of its bundle, or into a Dockerfile, when it is used."""

import re

from layer.bundle.records import Manifest
from layer.engines import ENGINES
from layer.naming import validate
from layer.naming.image_formats import DECODERS
from layer.spec import CHOICES

MAX_SIZE = 10**15  # bytes: what no disk holds
_PYTHON = re.compile(r"3\.[0-9]{1,2}")


def check(manifest: Manifest) -> None:
    """Raise ValueError if no model is named, or at the first value that becomes a path, a URL or a command, and cannot.

    A bundle may come from anywhere: `verify`, `inspect` and `package` read its manifest before its hashes are known.
    """
    target = manifest.target
    if not _PYTHON.fullmatch(target.python):
        raise ValueError(f"python = {validate.shown(target.python)} is not a version of Python")
    _one_of("architecture", target.architecture, CHOICES["architecture"])
    _one_of("package", target.package, CHOICES["package"])
    for name in target.image_formats or ():
        _one_of("image_formats", name, tuple(DECODERS))
    for name, version in manifest.versions.items():
        _printable(name, version or "")
    _printable(manifest.created_at)
    if not manifest.models:
        raise ValueError("it names no model")
    for model in manifest.models:
        validate.file_name(model.slug)
        _printable(model.id, model.name)
        _one_of("engine", model.engine, tuple(ENGINES))
        _one_of("precision", model.precision, CHOICES["precision"])
        if model.vectors_sha256 is not None:
            validate.sha256(model.vectors_sha256)
        for source in model.sources:
            validate.repository(source.repo)
            validate.commit(source.revision)
            _printable(source.license or "", *source.roles, *(source.as_found or ()))
        for blob in model.host_blobs or ():
            validate.file_name(blob.tower)
            validate.file_name(blob.processor)
            _printable(blob.openvino, *blob.settings, *blob.settings.values())
        for one in model.quality or ():
            _printable(one.kind, one.data, one.created_at, *one.templates)
            _printable(*(text for figure in one.figures for text in (figure.output, figure.metric)))
    for file in manifest.files:
        validate.relative_path(file.path)
        validate.sha256(file.sha256)
        if not 0 <= file.size <= MAX_SIZE:
            raise ValueError(f"{validate.shown(file.size)} is not a size")


def _printable(*values: str) -> None:
    for value in values:
        if not value.isprintable():
            raise ValueError(f"{validate.shown(value)} cannot be printed")


def _one_of(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{key} = {validate.shown(value)}: one of {', '.join(known)}")
