"""Where models.toml may ask for host blobs, and what is said where it may not."""

from pathlib import Path

import pytest

from layer.errors import SpecError
from layer.spec import read_spec


def spec(folder: Path, target: str, *engines: str) -> Path:
    models = "".join(f'[[model]]\nname = "hf-hub:a/m{n}"\nengine = "{name}"\n' for n, name in enumerate(engines))
    path = folder / "models.toml"
    path.write_text(f"[target]\n{target}\n{models}", encoding="utf-8")
    return path


@pytest.mark.parametrize(("written", "read"), [("true", True), ("false", None)])
def test_host_blob_is_true_or_false(tmp_path: Path, written: str, read: object) -> None:
    assert read_spec(spec(tmp_path, f"host_blob = {written}", "openvino")).target.host_blob is read


def test_false_asks_nothing_of_the_models(tmp_path: Path) -> None:
    assert read_spec(spec(tmp_path, 'package = "layer"\nhost_blob = false', "onnx")).models


@pytest.mark.parametrize("written", ['"true"', "1", "[true]", '"yes\\u0007"'])
def test_anything_else_is_refused_with_what_to_write(tmp_path: Path, written: str) -> None:
    with pytest.raises(SpecError, match=r"host_blob in \[target\] is .*: write host_blob = true or host_blob = false"):
        read_spec(spec(tmp_path, f"host_blob = {written}", "openvino"))


@pytest.mark.parametrize(
    ("target", "engines", "says"),
    [
        ('package = "layer"', ["openvino"], 'every kind of host.*set package = "image", or remove host_blob'),
        ('architecture = "arm64"', ["openvino"], "x86_64 alone"),
        ("", ["openvino", "onnx"], r'number 2 \(a/m1\) is on engine onnx.*set engine = "openvino"'),
        ("", ["torch"], r"number 1 \(a/m0\) is on engine torch"),
        ("memory = 1769", ["auto"], "is on engine onnx"),
    ],
)
def test_a_target_that_cannot_have_blobs_is_refused_with_the_fix(
    tmp_path: Path, target: str, engines: list[str], says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        read_spec(spec(tmp_path, f"host_blob = true\n{target}", *engines))
