"""The bundles that are measured: those of today's code, and each built once."""

from pathlib import Path

import pytest

from benchmarks import models
from tests.hub import repositories

ENGINES = [("onnx", "int8"), ("openvino", "int8")]


def test_a_bundle_is_built_once_and_again_where_the_code_that_makes_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def build(_: models.Model, engine: tuple[str, str], bundle: Path, __: str) -> None:
        built.append(engine[0])
        bundle.mkdir(parents=True, exist_ok=True)
        (bundle / "manifest.json").write_text("{}")

    def weights(folder: Path, _: str) -> None:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(models, "_build", build)
    monkeypatch.setattr(repositories, "random_weights", weights)
    for code, expected in [("a", ["onnx", "openvino"]), ("a", []), ("b", ["onnx", "openvino"])]:
        monkeypatch.setattr(models, "code_digest", lambda code=code: code)
        assert set(models.bundles(models.MODELS[0], ENGINES, tmp_path)) == set(ENGINES)
        assert built == expected
        built.clear()

    models.bundles(models.MODELS[0], ENGINES, tmp_path)
    (tmp_path / models.MODELS[0].name / "onnx-int8" / "bundle" / "manifest.json").unlink()
    models.bundles(models.MODELS[0], ENGINES, tmp_path)
    assert built == ["onnx"]
