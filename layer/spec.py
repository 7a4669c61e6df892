"""models.toml: which models, for which target. Read strictly, since a misspelled key would build something else."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer.engines import ENGINES, fastest
from layer.errors import SpecError
from layer.files import toml_file
from layer.files.user_paths import path_in
from layer.gate import settings as gate
from layer.naming import addresses, host_blob, image_formats, memory, model_names, tables, validate

DEFAULT_SPEC = Path(__file__).with_name("models.toml")
CHOICES = {
    "architecture": ("x86_64", "arm64"),
    "package": ("image", "layer"),
    "engine": ("auto", *ENGINES),
    "precision": ("int8", "fp32"),
}
NOT_TEXTS: Mapping[str, Callable[[object], Any]] = {
    "image_formats": image_formats.checked,
    "memory": memory.checked,
    "host_blob": host_blob.checked,
}
PYTHONS = ("3.12", "3.13", "3.14")  # Lambda's on Amazon Linux 2023, whose glibc today's wheels need


@dataclass(frozen=True)
class Target:
    """What the bundle is built for; written to the manifest, where infra/ and the handler read it.

    `image_formats` are names of `layer.naming.image_formats.DECODERS`; `memory` is the function's, in MB. With
    `host_blob` the bundle also has each tower as OpenVINO compiled it for the build machine's kind of host.
    """

    python: str = "3.13"
    architecture: str = "x86_64"
    package: str = "image"
    image_formats: tuple[str, ...] | None = None
    memory: int | None = None
    host_blob: bool | None = None


@dataclass(frozen=True)
class ModelSpec:
    """One model as open_clip names it: a registry name with its `pretrained` tag, or `hf-hub:<org>/<name>`.

    `engine` is never "auto" here; `precision` is that of the weight matrices. A model of the user's own has
    `checkpoint`, a directory, a file or a URL, and `config`, its architecture: a pair of the registry or the path of an
    open_clip_config.json. `cache` is a prepared cache, or a folder of repositories, that is searched first.
    """

    name: str
    pretrained: str | None = None
    revision: str | None = None
    engine: str = "onnx"
    precision: str = "int8"
    checkpoint: str | None = None
    config: str | None = None
    cache: str | None = None

    @property
    def id(self) -> str:
        """What clients call the model: `<model>/<pretrained>`, or `<org>/<name>`."""
        return f"{self.name}/{self.pretrained}" if self.pretrained else self.name.removeprefix("hf-hub:")

    @property
    def slug(self) -> str:
        """The id as the name of a directory."""
        return re.sub(r"[^A-Za-z0-9._-]", "--", self.id)


@dataclass(frozen=True)
class Spec:
    """All of models.toml."""

    target: Target
    models: tuple[ModelSpec, ...]
    cache: str | None = None
    evaluation: gate.Evaluation | None = None


def _keys(kind: type) -> tuple[str, ...]:
    return tuple(kind.__dataclass_fields__)  # type: ignore[attr-defined]


PLACES = {"[target]": _keys(Target), "[[model]]": _keys(ModelSpec), **gate.PLACES}


def read_spec(path: Path = DEFAULT_SPEC) -> Spec:
    """Read models.toml. Raises SpecError naming the file, the key and the fix."""
    try:
        data = toml_file.read(path)
    except OSError as error:
        raise SpecError(f"{path} cannot be read ({error.strerror}): name another with --models") from error
    except ValueError as error:
        raise SpecError(f"{path} {error}") from error
    tables.refuse_unknown(path, "the file", data, ("target", "model", "cache", *gate.TABLES), PLACES)
    cache = _fields(path, "the file", {"cache": data["cache"]}, Spec)["cache"] if "cache" in data else None
    if (target := _target(path, data.get("target", {}))).python not in PYTHONS:
        raise SpecError(f"{path}: python = {target.python!r} in [target]: set one of {', '.join(PYTHONS)}")
    named = data.get("model")
    if isinstance(named, dict):
        raise SpecError(f"{path}: [model] is one table, and there may be several: write [[model]]")
    if not isinstance(named, list) or not named:
        raise SpecError(f'{path} names no model: add a table [[model]] with name = "..."')
    models = tuple(_model(path, number, table, target) for number, table in enumerate(named, 1))
    _refuse_twins(path, models)
    if target.host_blob and (problem := host_blob.problem(target.package, target.architecture, models)):
        raise SpecError(f"{path}: host_blob = true in [target], but {problem}")
    return Spec(target, models, _beside(path, cache), gate.read(path, data))


def _target(path: Path, table: Any) -> Target:
    others: dict[str, Any] = {key: table[key] for key in NOT_TEXTS if isinstance(table, dict) and key in table}
    for key, value in others.items():
        try:
            others[key] = NOT_TEXTS[key](value)
        except ValueError as error:
            raise SpecError(f"{path}: {key} in [target] {error}") from error
    texts = {key: table[key] for key in table if key not in others} if others else table
    return Target(**{**_fields(path, "[target]", texts, Target), **others})


def _beside(path: Path, directory: str | None) -> str | None:
    """Return a directory that models.toml names, relative to the file; it may begin with `<org>/<name>=`."""
    if directory is None:
        return None
    whole = path_in(path, directory)
    if "=" not in directory or whole.is_dir():
        return str(whole)
    repo, _, place = directory.partition("=")
    return f"{repo}={path_in(path, place)}"


def _model(path: Path, number: int, table: Any, target: Target) -> ModelSpec:
    where = f"[[model]] number {number}"
    given = _fields(path, where, table, ModelSpec)
    if "name" not in given:
        raise SpecError(f'{path}: {where} has no name: add name = "ViT-B-32" or name = "hf-hub:<org>/<name>"')
    try:
        fields = addresses.taken(given)
    except ValueError as error:
        raise SpecError(f"{path}: {where} {error}") from error
    if fields.setdefault("engine", "auto") == "auto":
        fields["engine"] = fastest(target.architecture, target.package, target.memory)
    if "cache" in fields:
        fields["cache"] = str(_beside(path, fields["cache"]))
    precisions = ENGINES[fields["engine"]].recipes
    if fields.setdefault("precision", "int8" if "int8" in precisions else "fp32") not in precisions:
        raise SpecError(
            f'{path}: {where} has precision = "{fields["precision"]}", which {fields["engine"]} does not have: '
            'set engine = "onnx"'
        )
    if "checkpoint" in fields or "config" in fields:
        return _own(path, where, fields)
    model = ModelSpec(**fields)
    if problem := model_names.name_problem(model.name):
        raise SpecError(f"{path}: {where} has name = {model.name!r}, which {problem}")
    from_hub = model.name.startswith("hf-hub:")
    if from_hub and not validate.is_owned(model.name.removeprefix("hf-hub:")):
        raise SpecError(f"{path}: {where} has name = {validate.shown(model.name)}: write hf-hub:<org>/<name>")
    if model.revision:
        _check(path, f"revision in {where}", validate.revision, model.revision)
    if from_hub and model.pretrained:
        raise SpecError(f"{path}: {where} has both hf-hub: and pretrained, which open_clip ignores: drop `pretrained`")
    if not from_hub and not model.pretrained:
        raise SpecError(
            f"{path}: {where} has no pretrained, which would be a random model: add one of "
            f"{', '.join(model_names.tags_of(model.name)) or 'its tags'} "
            f"(`python -m layer models --family {model.name}` lists them)"
        )
    if model.pretrained and (problem := model_names.tag_problem(model.name, model.pretrained)):
        raise SpecError(f"{path}: {where} has pretrained = {model.pretrained!r}, which {problem}")
    return model


def _own(path: Path, where: str, fields: dict[str, str]) -> ModelSpec:
    """Read a model of the user's own, whose name is what clients call it; paths are relative to models.toml."""
    if "checkpoint" not in fields:
        raise SpecError(f"{path}: {where} has config but no checkpoint: name the file or directory of the weights")
    if wrong := {"pretrained", "revision"} & set(fields):
        raise SpecError(
            f"{path}: {where} has a checkpoint and {wrong.pop()}: a checkpoint needs nothing else, remove that"
        )
    if not validate.is_owned(fields["name"]):
        called = validate.shown(fields["name"])
        raise SpecError(f'{path}: {where} has name = {called}: a model of your own is called "<you>/<name>"')
    if config := fields.get("config"):
        _check(path, f"config in {where}", model_names.config_pair, config)
        fields["config"] = model_names.config_pair(config)
    for key in ("checkpoint", "config"):
        value = fields.get(key, "")
        if value and "://" not in value and (key == "checkpoint" or value.endswith(".json")):
            fields[key] = str(path_in(path, value))
    if (pair := fields.get("config", "")) and not pair.endswith(".json"):
        _check_pair(path, where, pair)
    if not fields["checkpoint"].startswith("https://") and "://" in fields["checkpoint"]:
        raise SpecError(f"{path}: {where} has checkpoint = {fields['checkpoint']!r}: only https:// is fetched")
    if "://" in fields["checkpoint"]:
        _check(path, f"the address of the checkpoint in {where}", validate.url_file, fields["checkpoint"])
    return ModelSpec(**{**fields, "name": f"hf-hub:{fields['name']}"})


def _check_pair(path: Path, where: str, pair: str) -> None:
    name, _, tag = pair.rpartition("/")
    problem = model_names.name_problem(name or tag) or (model_names.tag_problem(name, tag) if name else "has no tag")
    if problem:
        raise SpecError(
            f"{path}: {where} has config = {pair!r}, which {problem}: write a pair of the registry, as in "
            '"ViT-B-32/laion2b_s34b_b79k", or a path that ends in .json'
        )


def _fields(path: Path, where: str, table: Any, kind: type) -> dict[str, str]:
    if not isinstance(table, dict):
        line = where.partition(" number")[0]
        raise SpecError(f"{path}: {where} is not a table: write {line} alone on a line, and its keys below it")
    tables.refuse_unknown(path, where, table, _keys(kind), PLACES)
    return tables.texts(path, where, table, CHOICES)


def _check(path: Path, what: str, sound: Callable[[object], str], value: str) -> None:
    try:
        sound(value)
    except ValueError as error:
        raise SpecError(f"{path}: {what}: {error}") from error


def _refuse_twins(path: Path, models: tuple[ModelSpec, ...]) -> None:
    slugs = [model.slug.lower() for model in models]  # some file systems do not distinguish upper and lower case
    for model, slug in zip(models, slugs, strict=True):
        if slugs.count(slug) > 1:
            raise SpecError(f"{path} names {model.slug} twice: drop one")
        if len(slug) > validate.MAX_NAME:
            raise SpecError(
                f"{path}: the name {validate.shown(model.id)} is longer than {validate.MAX_NAME} characters"
            )
