"""The steps that a build announces are those that it has."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODEL = '[[model]]\nname = "hf-hub:openclip-lambda/shapes-i18n"\nengine = "{engine}"\nprecision = "{precision}"\n'


def steps(folder: Path, engine: str, precision: str) -> tuple[set[str], list[int]]:
    """Build, and return the totals that were told, and the numbers of the steps."""
    models = folder / "models.toml"
    models.write_text(MODEL.format(engine=engine, precision=precision))
    command = [sys.executable, "-m", "layer", "build", "--models", models, "--output", folder / "bundle"]
    run = subprocess.run(
        [*map(str, command), "--cache", str(folder / "cache")],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    told = re.findall(r": step (\d+) of (\d+), ", run.stderr)
    return {total for _, total in told}, [int(number) for number, _ in told]


def test_the_total_is_known_from_the_beginning_and_is_reached(tmp_path: Path) -> None:
    for engine, precision in (("openvino", "int8"), ("onnx", "int8"), ("onnx", "fp32")):
        [total], numbers = steps(tmp_path, engine, precision)
        assert numbers[0] == 1
        assert numbers == sorted(numbers)
        assert numbers[-1] == int(total), (engine, precision)
