"""Check an open_clip_config.json before open_clip sees it: every field known, sensible in size, and honored."""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from layer.config.field_table import (
    CHOICES,
    HF_TOKENIZER,
    MODEL,
    MULTIMODAL,
    PREPROCESS,
    REFUSED,
    SIMPLE_TOKENIZER,
    TEXT,
    VISION,
    Field,
)
from layer.errors import BuildError
from layer.files.foreign import read_json
from layer.naming.repositories import no_repository
from layer.naming.validate import shown

MAX_TOLD = 5
SECTIONS = {"vision_cfg": VISION, "text_cfg": TEXT, "multimodal_cfg": MULTIMODAL}
# A token that open_clip's pattern finds literally, and that cleaning leaves alone: more could only be guessed at.
_LITERAL_TOKEN = re.compile(r"<[a-z0-9_]{1,64}>")


def read_config(path: Path, where: str, error: type[BuildError]) -> dict[str, Any]:
    """Read and check the config of a repository: `model_cfg` and `preprocess_cfg`, {} where it has none.

    Raises `error`, whose message begins with `where`.
    """
    config = read_json(path, error)
    check_config(config, where, error)
    return {"model_cfg": config["model_cfg"], "preprocess_cfg": config.get("preprocess_cfg") or {}}


def check_config(config: Any, where: str, error: type[BuildError], local: bool = False) -> None:
    """Raise `error` naming every field that open_clip would ignore or refuse, with what to write instead.

    In a `local` config the tokenizer's place may be a directory beside it.
    """
    problems = list(_problems(config, local))
    if problems:
        more = f" (and {len(problems) - MAX_TOLD} more)" if len(problems) > MAX_TOLD else ""
        raise error(f"{where}: {'; '.join(problems[:MAX_TOLD])}{more}")


def ignored(path: Path) -> list[str]:
    """Name the keys of a config that are neither model_cfg nor preprocess_cfg: open_clip does not read them."""
    return [str(key)[:80] for key in read_json(path, BuildError) if key not in ("model_cfg", "preprocess_cfg")]


def _problems(config: Any, local: bool) -> Iterator[str]:
    if not isinstance(config, dict) or not isinstance(config.get("model_cfg"), dict):
        yield "it has no model_cfg, a table: is it an open_clip_config.json?"
        return
    model = config["model_cfg"]
    for key in config:
        for section, known in (("model_cfg", MODEL), ("preprocess_cfg", PREPROCESS)):
            if key in known:
                yield f"{key} stands beside {section}, where open_clip does not read it: move it into {section}"
    yield from _section("model_cfg", model, MODEL)
    for name in ("vision_cfg", "text_cfg"):
        if name not in model:
            yield f"model_cfg has no {name}: add it, as it was in training"
    for name, fields in SECTIONS.items():
        if isinstance(model.get(name), dict):
            yield from _section(name, model[name], fields)
    if isinstance(model.get("text_cfg"), dict) and isinstance(model.get("vision_cfg"), dict):
        yield from _together(config, model)
        yield from _tokenizer(model["text_cfg"])
        yield from _names(model, local)
    preprocess = config.get("preprocess_cfg")
    if preprocess is not None and not isinstance(preprocess, dict):
        yield f"preprocess_cfg = {shown(preprocess)} is not a table"
    yield from _section("preprocess_cfg", preprocess, PREPROCESS) if isinstance(preprocess, dict) else ()


def _section(name: str, table: Mapping[str, Any], fields: Mapping[str, Field]) -> Iterator[str]:
    for key, value in table.items():
        field = fields.get(key)
        if field is None:
            near = difflib.get_close_matches(key, fields, 1)
            fix = f"did you mean {near[0]}?" if near else "remove it"
            yield f"{name}.{key[:80]} is not a field of open_clip: {fix}"
        elif field.treatment == REFUSED and value not in (None, False, ""):
            yield f"{name}.{key} = {shown(value)}: {field.why}"
        elif value is not None and not _fits(field, value):
            yield f"{name}.{key} = {shown(value)} has to be {_KINDS[field.kind]}{_most(field)}"
        elif value not in (None, "") and value not in CHOICES.get(f"{name}.{key}", (value,)):
            yield f"{name}.{key} = {shown(value)}: open_clip knows {', '.join(filter(None, CHOICES[f'{name}.{key}']))}"


def _together(config: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[str]:
    vision, text = model["vision_cfg"], model["text_cfg"]
    custom = model.get("custom_text") or text.get("hf_model_name")
    if "multimodal_cfg" in model and not custom:
        yield "model_cfg.multimodal_cfg is CoCa's, and CoCa needs custom_text: add model_cfg.custom_text = true"
    tokens = [f"{name}.output_tokens" for name in ("vision_cfg", "text_cfg") if model[name].get("output_tokens")]
    if tokens and not (custom and "multimodal_cfg" in model):
        yield f"{tokens[0]} = true gives more than an embedding, except in CoCa: remove it"
    if (
        "multimodal_cfg" in model
        and len(tokens) < 2
        and not (text.get("hf_model_name") or vision.get("timm_model_name"))
    ):
        yield "CoCa needs output_tokens = true in both vision_cfg and text_cfg: add it"
    if text.get("embed_cls") and not custom:
        yield "text_cfg.embed_cls = true is not honored without custom_text: add model_cfg.custom_text = true"
    size, built = (config.get("preprocess_cfg") or {}).get("size"), vision.get("image_size", 224)
    if isinstance(config.get("preprocess_cfg"), dict) and size is not None and _pair(size) != _pair(built):
        yield (
            f"preprocess_cfg.size = {shown(size)} and vision_cfg.image_size = {shown(built)} differ, and open_clip "
            "takes image_size: write the size that it was trained at into both"
        )


def _tokenizer(text: Mapping[str, Any]) -> Iterator[str]:
    wrapped = bool(text.get("hf_tokenizer_name"))
    if text.get("tokenizer_mode") and not wrapped:
        yield "text_cfg.tokenizer_mode is of transformers' tokenizers alone: add hf_tokenizer_name, or remove it"
    options = text.get("tokenizer_kwargs")
    if not isinstance(options, dict):
        if "tokenizer_kwargs" in text:
            yield "text_cfg.tokenizer_kwargs has to be a table: remove it where it is empty"
        return
    if options.get("trust_remote_code"):
        yield "tokenizer_kwargs.trust_remote_code would run code that came with a tokenizer: never done here, remove it"
        options = {key: value for key, value in options.items() if key != "trust_remote_code"}
    yield from _section("tokenizer_kwargs", options, HF_TOKENIZER if wrapped else SIMPLE_TOKENIZER)
    if not wrapped:
        tokens = options.get("additional_special_tokens") or []
        odd = [token for token in tokens if isinstance(token, str) and not _LITERAL_TOKEN.fullmatch(token)]
        if odd:
            yield (
                f"tokenizer_kwargs.additional_special_tokens has {shown(odd[0])}, which open_clip takes for a "
                "pattern: only tokens like <name> (lower case, digits, _) can be given exactly; rename it"
            )
        if len(set(tokens)) < len(tokens) or {"<start_of_text>", "<end_of_text>"} & set(map(str, tokens)):
            yield "tokenizer_kwargs.additional_special_tokens has one twice, or open_clip's own: remove that"


def _names(model: Mapping[str, Any], local: bool) -> Iterator[str]:
    """Name values that are no id of a repository, or no model of timm. A local config may name paths instead of ids."""
    for key in ("hf_tokenizer_name", "hf_model_name"):
        name = model["text_cfg"].get(key)
        if isinstance(name, str) and name and not local and (why := no_repository(name)):
            yield f"text_cfg.{key} = {shown(name)} {why}"
    timm = model["vision_cfg"].get("timm_model_name")
    if isinstance(timm, str) and timm:
        from layer.openclip import open_clip  # late: it takes seconds. By itself timm stumbles over some torchvisions

        library = open_clip.timm_model.timm
        if not re.fullmatch(r"[\w.-]+", timm) or not library.is_model(timm):
            near = difflib.get_close_matches(timm.rpartition("/")[2], library.list_models(), 1)
            fix = f"did you mean {near[0]}?" if near else "write one of timm.list_models()"
            yield f"vision_cfg.timm_model_name = {shown(timm)} is not a model of timm {library.__version__}: {fix}"


_KINDS = {
    "count": "a whole number from 1 on",
    "size": "a whole number from 1 on, or two of them",
    "layers": "a whole number from 1 on, or four of them",
    "number": "a number from 0 on",
    "any number": "a number",
    "bool": "true or false",
    "text": "a text",
    "texts": "a list of texts",
    "table": "a table",
    "channels": "three numbers, above 0 where it is std",
    "level": "a whole number from 0 to 255",
}


def _fits(field: Field, value: Any) -> bool:
    most = field.most or float("inf")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    count = number and isinstance(value, int) and 1 <= value <= most
    several = value if isinstance(value, list) else []
    inner = all(_fits(Field("", "count", most), one) for one in several)
    if field.kind == "channels":
        three = several if len(several) == 3 else [value]
        return all(isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < 1e6 for one in three)
    return {
        "any": True,
        "count": count,
        "size": count or (len(several) == 2 and inner),
        "layers": count or (len(several) == 4 and inner),
        "number": number and 0 <= value <= most,
        "any number": number and abs(value) < 1e9,
        "bool": isinstance(value, bool),
        "text": isinstance(value, str) and len(value) < 1000,
        "texts": isinstance(value, list) and len(value) < 1000 and all(isinstance(one, str) for one in value),
        "table": isinstance(value, dict),
        "level": isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255,
    }[field.kind]


def _most(field: Field) -> str:
    return f", {field.most:,.0f} at most" if field.most else ""


def _pair(size: Any) -> list[Any]:
    return list(size) if isinstance(size, list | tuple) else [size, size]
