"""models.toml: what it means, and every way of getting it wrong."""

from pathlib import Path

import pytest

from layer.errors import SpecError
from layer.spec import ModelSpec, Target, read_spec


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_projects_own_names_the_embedded_model_for_lambdas_python() -> None:
    spec = read_spec()

    assert [model.id for model in spec.models] == ["openclip-lambda/shapes-i18n"]
    assert spec.target == Target("3.13", "x86_64", "image")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('["avif", "heic"]', ("avif", "heic")),
        ('["HEIF"]', ("heic",)),
        ('["jpeg", "png", "avif", "avif"]', ("avif",)),
        ("[]", None),
        ('["png"]', None),
    ],
)
def test_image_formats_are_what_is_decoded_besides(tmp_path: Path, written: str, expected: object) -> None:
    text = f'[target]\nimage_formats = {written}\n[[model]]\nname = "hf-hub:a/b"\n'
    assert read_spec(write(tmp_path, text)).target.image_formats == expected


@pytest.mark.parametrize("written", ['"avif"', '["tiff"]', "[3]", "true", '["\\u0007"]'])
def test_image_formats_that_are_none_are_refused_with_what_to_write(tmp_path: Path, written: str) -> None:
    text = f'[target]\nimage_formats = {written}\n[[model]]\nname = "hf-hub:a/b"\n'
    with pytest.raises(SpecError, match=r'image_formats in \[target\].* write image_formats = \["avif", "heic"\]'):
        read_spec(write(tmp_path, text))


def test_a_model_has_the_id_that_clients_use_and_a_slug_for_its_directory(tmp_path: Path) -> None:
    spec = read_spec(
        write(
            tmp_path,
            '[[model]]\nname = "ViT-B-32"\npretrained = "laion2b_s34b_b79k"\n'
            '[[model]]\nname = "hf-hub:timm/ViT-B-16-SigLIP"\nrevision = "v1"\n',
        )
    )

    assert [(model.id, model.slug) for model in spec.models] == [
        ("ViT-B-32/laion2b_s34b_b79k", "ViT-B-32--laion2b_s34b_b79k"),
        ("timm/ViT-B-16-SigLIP", "timm--ViT-B-16-SigLIP"),
    ]
    assert spec.models[1] == ModelSpec("hf-hub:timm/ViT-B-16-SigLIP", None, "v1", "openvino", "int8")


def test_prepared_caches_are_named_relative_to_models_toml(tmp_path: Path) -> None:
    (tmp_path / "run=1").mkdir()
    spec = read_spec(
        write(
            tmp_path,
            'cache = "model_cache"\n[[model]]\nname = "hf-hub:a/b"\ncache = "b"\n'
            '[[model]]\nname = "hf-hub:a/c"\ncache = "a/c=../c"\n[[model]]\nname = "hf-hub:a/d"\ncache = "run=1"\n',
        )
    )

    assert spec.cache == str(tmp_path / "model_cache")
    assert [model.cache for model in spec.models] == [
        str(tmp_path / "b"),
        f"a/c={tmp_path / '../c'}",
        str(tmp_path / "run=1"),
    ]
    with pytest.raises(SpecError, match="cache = 3 in the file is not a text"):
        read_spec(write(tmp_path, 'cache = 3\n[[model]]\nname = "hf-hub:a/b"\n'))


def test_a_model_of_ones_own_is_called_as_it_says_and_its_paths_start_at_models_toml(tmp_path: Path) -> None:
    spec = read_spec(
        write(
            tmp_path,
            '[[model]]\nname = "acme/own"\ncheckpoint = "runs/epoch.pt"\nconfig = "runs/open_clip_config.json"\n'
            '[[model]]\nname = "acme/clip"\ncheckpoint = "https://a.example/w.pt"\nconfig = "ViT-B-32/openai"\n',
        )
    )

    assert [(model.id, model.slug, model.name) for model in spec.models] == [
        ("acme/own", "acme--own", "hf-hub:acme/own"),
        ("acme/clip", "acme--clip", "hf-hub:acme/clip"),
    ]
    assert (spec.models[0].checkpoint, spec.models[0].config) == (
        str(tmp_path / "runs/epoch.pt"),
        str(tmp_path / "runs/open_clip_config.json"),
    )
    assert (spec.models[1].checkpoint, spec.models[1].config) == ("https://a.example/w.pt", "ViT-B-32/openai")


@pytest.mark.parametrize(
    ("target", "said", "meant"),
    [
        ("", "", ("openvino", "int8")),
        ('architecture = "arm64"', "", ("onnx", "int8")),
        ('package = "layer"', 'engine = "auto"\nprecision = "fp32"', ("onnx", "fp32")),
        ('package = "layer"', 'engine = "openvino"', ("openvino", "int8")),
        ("", 'engine = "torch"', ("torch", "fp32")),
    ],
)
def test_auto_is_the_quickest_engine_that_the_target_has_room_for(
    tmp_path: Path, target: str, said: str, meant: tuple[str, str]
) -> None:
    [model] = read_spec(write(tmp_path, f'[target]\n{target}\n[[model]]\nname = "hf-hub:x/y"\n{said}')).models

    assert (model.engine, model.precision) == meant


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no model: add a table"),
        ("model = 3", "names no model"),
        ("model = [3]", r"number 1 is not a table: write \[\[model\]\] alone on a line"),
        ('[model]\nname = "hf-hub:x/y"', r"\[model\] is one table, .* write \[\[model\]\]"),
        ('[[target]]\npython = "3.13"', r"\[target\] is not a table: write \[target\] alone on a line"),
        ('[[model]]\nName = "hf-hub:x/y"', "unknown key 'Name': .* did you mean 'name'"),
        ('[[model]]\nname = "hf-hub:x/y"\nmemory = 1769', r"has memory, which is a key of \[target\]: move it there"),
        ('[target]\nengine = "onnx"', r"\[target\] has engine, which is a key of \[\[model\]\]: move it there"),
        ('name = "hf-hub:x/y"', r"the file has name, which is a key of \[\[model\]\]"),
        (
            '[evaluate]\npairs = "a.csv"\nmax_recall_loss = 0.1\n[[model]]\nname = "hf-hub:x/y"',
            r"\[evaluate\] has max_recall_loss, which is a key of \[gate\]: move it there",
        ),
        ('[[model]]\nname = "ViT-B-32"\npretrained = true', "pretrained = True .* is not a text: write one, in quotes"),
        ('[[model]]\nname = "x/y"\nprecision = 8', "precision = 8 .* is not a text: set one of int8, fp32, in quotes"),
        ("[[model]", "is not TOML"),
        ('[[model]]\npretrained = "x"', "number 1 has no name"),
        ('[[model]]\nname = "ViT-B-32"', "has no pretrained, which would be a random model"),
        ('[[model]]\nname = "hf-hub:x/y"\npretrained = "z"', "has both hf-hub: and pretrained"),
        ('[[model]]\nname = "hf-hub:nonsense"', "write hf-hub:<org>/<name>"),
        ('[[model]]\nname = "hf-hub:../../etc/passwd"', "write hf-hub:<org>/<name>"),
        ('[[model]]\nname = "a"\npretained = "b"', "unknown key 'pretained': known are name, pretrained"),
        (
            '[[model]]\nname = "hf-hub:x/y"\nengine = "tensorrt"',
            "engine = 'tensorrt' in .* number 1: set one of auto, onnx, openvino, torch",
        ),
        ('[[model]]\nname = "hf-hub:x/y"\nprecision = "fp8"', "precision = 'fp8' .* set one of int8, fp32"),
        (
            '[[model]]\nname = "hf-hub:x/y"\nengine = "torch"\nprecision = "int8"',
            'number 1 has precision = "int8", which torch does not have',
        ),
        ('[[model]]\nname = "a/b"\nconfig = "c/d"', "has config but no checkpoint"),
        ('[[model]]\nname = "own"\ncheckpoint = "w.pt"', 'a model of your own is called "<you>/<name>"'),
        ('[[model]]\nname = "a/b"\ncheckpoint = "w.pt"\nrevision = "v1"', "has a checkpoint and revision"),
        ('[[model]]\nname = "a/b"\ncheckpoint = "ftp://a.example/w.pt"', "only https:// is fetched"),
        ("[[model]]\nname = 7", 'name = 7 .* is not a text: write name = "7"'),
        ('[[model]]\nname = "hf-hub:a/b"\nrevision = ""', "revision .* is empty: give it a value, or remove the line"),
        ('[target]\npython = "3.9"\n[[model]]\nname = "hf-hub:x/y"', "python = '3.9' .* set one of 3.12"),
        ('[target]\narchitecture = "amd64"\n[[model]]\nname = "hf-hub:x/y"', "architecture = 'amd64' .*x86_64, arm64"),
        ('[targets]\npython = "3.13"', "unknown key 'targets': known are target, model"),
        ('[[model]]\nname = "hf-hub:x/y"\n[[model]]\nname = "hf-hub:x/y"', "names x--y twice"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_fix(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, text)

    with pytest.raises(SpecError, match=says) as caught:
        read_spec(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"cannot be read .*name another with --models"):
        read_spec(tmp_path / "models.toml")


@pytest.mark.parametrize(
    ("target", "engine"),
    [
        ("", "openvino"),
        ("memory = 1769", "onnx"),
        ("memory = 2653", "onnx"),
        ("memory = 2654", "openvino"),
        ("memory = 3008", "openvino"),
        ('memory = 3008\npackage = "layer"', "onnx"),
    ],
)
def test_auto_takes_the_engine_that_starts_sooner_on_one_processor(tmp_path: Path, target: str, engine: str) -> None:
    text = f'[target]\n{target}\n[[model]]\nname = "hf-hub:a/b"\n[[model]]\nname = "hf-hub:a/c"\nengine = "openvino"\n'
    spec = read_spec(write(tmp_path, text))
    assert [model.engine for model in spec.models] == [engine, "openvino"]


@pytest.mark.parametrize("written", ['"1769"', "511", "10241", "1769.0", "true", "[]", '"\\u0007"'])
def test_memory_that_no_function_has_is_refused_with_what_to_write(tmp_path: Path, written: str) -> None:
    text = f'[target]\nmemory = {written}\n[[model]]\nname = "hf-hub:a/b"\n'
    with pytest.raises(SpecError, match=r"memory in \[target\] is .*: write memory = 1769, the MB of the function"):
        read_spec(write(tmp_path, text))
