"""A model that torch's exporter refuses: the build says so with the fix, and the fix works."""

from pathlib import Path

from tests.hub import repositories
from tests.hub.builder import Builder
from tests.hub.server import serving


def test_a_model_that_cannot_be_exported_says_so_and_is_served_by_torch(tmp_path: Path) -> None:
    # One token a text: the exporter keeps a number that is 1 in its example for a constant.
    repositories.small_clip(tmp_path / "short", context_length=1)
    spec = '[[model]]\nname = "hf-hub:acme/short"\n'
    with serving() as hub:
        hub.add("acme/short", tmp_path / "short")
        builder = Builder(tmp_path / "work", hub)
        refused = builder.run(f'{spec}engine = "onnx"\n')
        taken = builder.run(f'{spec}engine = "torch"\n')

    assert refused.returncode == 1
    [error] = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: acme/short: the text tower cannot be exported to ONNX (")
    assert "1 not in range" in error
    assert error.endswith('): set engine = "torch" for this model in models.toml')
    assert taken.returncode == 0, taken.stderr
