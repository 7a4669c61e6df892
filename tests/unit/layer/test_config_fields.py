"""Every field that open_clip's source reads of a config is known to the builder, by name, with what becomes of it."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from layer.config import field_table
from layer.config.field_table import MANIFEST, NO_EFFECT, REFUSED, TOWER, Field

FILES = ("factory.py", "model.py", "coca_model.py", "transform.py", "tokenizer.py")
# Read of what is not a config: the responses of a checkpoint, of the registry, of the built model.
NO_FIELD = {"state_dict", "model_cfg", "preprocess_cfg", "pretrained_hf"}
TABLES = {
    "model_cfg": field_table.MODEL,
    "vision_cfg": field_table.VISION,
    "text_cfg": field_table.TEXT,
    "multimodal_cfg": field_table.MULTIMODAL,
    "preprocess_cfg": field_table.PREPROCESS,
    "tokenizer_kwargs (simple)": field_table.SIMPLE_TOKENIZER,
    "tokenizer_kwargs (hf)": field_table.HF_TOKENIZER,
}


def sources() -> dict[str, str]:
    spec = find_spec("open_clip")
    assert spec
    assert spec.submodule_search_locations
    folder = Path(next(iter(spec.submodule_search_locations)))
    return {name: (folder / name).read_text(encoding="utf-8") for name in FILES}


def declared(text: str, name: str) -> set[str]:
    """The fields of a dataclass."""
    found = next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == name)
    return {
        node.target.id for node in found.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def parameters(text: str, name: str) -> set[str]:
    """The arguments of a class's __init__, without the ones that take any name."""
    found = next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == name)
    init = next(node for node in found.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    return {argument.arg for argument in [*init.args.args, *init.args.kwonlyargs]} - {"self"}


def read(text: str) -> set[str]:
    """Every key that is read by name where a model or a tokenizer is made: x["key"], x.get("key"), "key" in x."""
    functions = ("create_model", "get_tokenizer", "get_model_config")
    nodes = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name in functions]
    return {key for function in nodes for node in ast.walk(function) for key in _keys(node)}


def _keys(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            yield key
        case ast.Call(func=ast.Attribute(attr="get" | "pop" | "setdefault"), args=[ast.Constant(value=str(key)), *_]):
            yield key
        case ast.Compare(
            left=ast.Constant(value=str(key)),
            ops=[ast.In() | ast.NotIn()],
            comparators=[ast.Name() | ast.Call(func=ast.Attribute(attr="get"))],
        ):
            yield key
        case _:
            return


def fields(text: dict[str, str]) -> dict[str, set[str]]:
    """Where open_clip's source declares each section's fields."""
    model, coca = text["model.py"], text["coca_model.py"]
    classes = parameters(model, "CLIP") | parameters(model, "CustomTextCLIP") | parameters(coca, "CoCa")
    text_fields = declared(model, "CLIPTextCfg")
    return {
        "model_cfg": classes | {"custom_text"},
        "vision_cfg": declared(model, "CLIPVisionCfg"),
        "text_cfg": text_fields,
        "multimodal_cfg": text_fields | declared(coca, "MultimodalCfg"),
        "preprocess_cfg": declared(text["transform.py"], "PreprocessCfg"),
        "tokenizer_kwargs (simple)": parameters(text["tokenizer.py"], "SimpleTokenizer"),
        "tokenizer_kwargs (hf)": parameters(text["tokenizer.py"], "HFTokenizer"),
    }


def unknown(text: dict[str, str]) -> list[str]:
    declared_but_unknown = [
        f"{section}.{name}"
        for section, names in fields(text).items()
        for name in sorted(names - TABLES[section].keys())
    ]
    known = NO_FIELD.union(*TABLES.values())
    return declared_but_unknown + [f"factory reads {key}" for key in sorted(read(text["factory.py"]) - known)]


def test_every_field_of_open_clips_source_is_known_to_the_builder() -> None:
    assert unknown(sources()) == []


def test_no_field_is_listed_that_open_clip_has_dropped() -> None:
    there = fields(sources())
    handed_on = {"tokenizer_kwargs (hf)": set(field_table.HF_TOKENIZER) - there["tokenizer_kwargs (hf)"]}
    gone = {name: set(table) - there[name] - handed_on.get(name, set()) for name, table in TABLES.items()}
    assert {name: keys for name, keys in gone.items() if keys} == {}


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        (
            "model.py",
            "    vocab_size: int = 49408\n",
            "    vocab_size: int = 49408\n    new_one: int = 1\n",
            "text_cfg.new_one",
        ),
        (
            "model.py",
            "    pool_type: str = 'tok'\n",
            "    pool_type: str = 'tok'\n    seen: int = 1\n",
            "vision_cfg.seen",
        ),
        (
            "tokenizer.py",
            "            clean: str = 'lower',\n",
            "            clean: str = 'lower', fold: bool = False,\n",
            "fold",
        ),
        (
            "transform.py",
            "    fill_color: int = 0\n",
            "    fill_color: int = 0\n    gamma: float = 1\n",
            "preprocess_cfg.gamma",
        ),
        (
            "factory.py",
            "text_config.get('tokenizer_mode', None)",
            "text_config.get('voice', None)",
            "factory reads voice",
        ),
    ],
)
def test_a_field_of_a_later_open_clip_is_reported_by_its_name(file: str, before: str, after: str, told: str) -> None:
    text = sources()
    assert before in text[file]
    text[file] = text[file].replace(before, after)

    assert any(line.endswith(told) for line in unknown(text)), unknown(text)


def test_each_field_is_exported_written_without_effect_or_refused_with_a_reason() -> None:
    every: list[tuple[str, Field]] = [(f"{s}.{k}", field) for s, table in TABLES.items() for k, field in table.items()]
    assert {name for name, field in every if field.treatment not in (TOWER, MANIFEST, NO_EFFECT, REFUSED)} == set()
    assert {name for name, field in every if field.treatment == REFUSED and len(field.why) < 20} == set()
