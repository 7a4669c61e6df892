"""Compare a package with Lambda's limits before any of it is written, and say what would fit."""

from collections.abc import Iterator, Mapping

from layer.bundle.records import Manifest, ModelEntry
from layer.engines import ENGINES
from layer.errors import PackageError
from layer.naming.image_formats import DECODERS
from layer.package import base_image
from layer.registry import lambda_limits, table

MB = 1_000_000


def check(facts: Manifest, sizes: Mapping[str, int], decoders: Mapping[str, int] | None = None) -> None:
    """Raise PackageError with the size table where a package is over its shape's limit.

    `facts` is the bundle's manifest; `sizes` are bytes unzipped: "handler", "dependencies", "bundle", and "handler_ext"
    where there is code of the user's own; `decoders` are what image_formats added to the dependencies.
    """
    shape = lambda_limits.SHAPES[facts.target.package]
    total = sum(sizes.values())
    if total <= shape.room:
        return
    raise PackageError(
        "\n".join(
            [
                f"the bundle does not fit: {total:,} bytes unzipped, Lambda takes {shape.room:,} of {shape.of}",
                *size_table(facts, sizes, decoders or {}),
                f"{_left(shape.room - total + sizes['bundle'])} In layer/models.toml:",
                *_fixes(facts),
            ]
        )
    )


def _left(room: int) -> str:
    if room < 0:
        return "This code alone does not fit."
    return f"Beside this code {room / MB:.1f} MB of models would fit."


def refuse_beforehand(facts: Manifest) -> None:
    """Raise PackageError if the models alone, or the code alone, are over the limit; called before the installation.

    The code's sizes are those that the tests measured of the engines.
    """
    shape, engines = facts.target.package, {model.engine for model in facts.models}
    bundle = sum(file.size for file in facts.files)
    if bundle > lambda_limits.SHAPES[shape].room or lambda_limits.room(shape, engines) < 0:
        code = sum(ENGINES[engine].code_bytes for engine in engines)
        check(facts, {"handler": 0, "dependencies": code, "bundle": bundle})


def size_table(facts: Manifest, sizes: Mapping[str, int], decoders: Mapping[str, int] | None = None) -> list[str]:
    """Return one line for each part, the models' each for itself, in MB unzipped."""
    rows = [(name, sizes[name]) for name in ("handler", "handler_ext", "dependencies") if name in sizes]
    rows += [(f"  of these {DECODERS[name].name}", size) for name, size in (decoders or {}).items()]
    for model in facts.models:
        prefix = f"models/{model.slug}/"
        own = sum(file.size for file in facts.files if file.path.startswith(prefix))
        rows.append((f"{model.id} ({model.engine}, {model.precision})", own))
    width = max(len(name) for name, _ in rows)
    return [f"  {name:{width}} {size / MB:9.1f} MB" for name, size in rows]


def notes(facts: Manifest, zips: Mapping[str, int], uncompiled: str | None) -> Iterator[str]:
    """Yield notes that are no errors: on uploads, on /tmp, and `uncompiled`, the reason why there is no bytecode."""
    target = facts.target
    for name, size in zips.items():
        if size > lambda_limits.DIRECT_UPLOAD_BYTES:
            yield f"{name} is over 50 MB: it has to be uploaded through S3; `cdk deploy` does that by itself"
    if uncompiled is not None:
        yield (
            f"{uncompiled}. So the zips hold no bytecode, and every cold start has to compile its modules: install "
            f"Python {target.python}, or Node.js 18 or later with npm, or package as an image, which compiles while it "
            "is built"
        )
    if lambda_limits.SHAPES[target.package].on_base_image and (note := base_image.base(target.python).note):
        yield note
    copied = sum(file.size for file in facts.files if "/hub/" in file.path)
    if copied > lambda_limits.SNAPSTART_TMP_BYTES:
        yield (
            f"OPENCLIP_CACHE_MODE=copy would take {copied / MB:.0f} MB of /tmp, and SnapStart allows 512: use "
            "link, the default, which takes none"
        )


def _fixes(facts: Manifest) -> Iterator[str]:
    """Yield what to change in models.toml, what helps most first."""
    engines = {model.engine for model in facts.models}
    for engine in sorted(engines - {"onnx"}):
        code = (ENGINES[name].code_bytes / MB for name in ("onnx", engine))
        yield '  engine = "onnx": {:.0f} MB of code instead of {:.0f}'.format(*code)
    for model in facts.models:
        if model.precision == "fp32":
            yield f'  precision = "int8" for {model.id}: {_in_8_bits(model)}'
    for name in facts.target.image_formats or ():
        yield f'  image_formats without "{name}": {DECODERS[name].code_bytes / MB:.0f} MB less'
    if advice := lambda_limits.SHAPES[facts.target.package].advice:
        yield f"  {advice}"
    if len(facts.models) > 1:
        yield "  fewer models in one bundle"
    yield f"  a smaller model: `python -m layer models --fits {facts.target.package}` lists them"


def _in_8_bits(model: ModelEntry) -> str:
    row = table.known(model.name)
    return f"{row['bytes']['int8'] / MB:.0f} MB of weights" if row else "its matrices take a quarter"
