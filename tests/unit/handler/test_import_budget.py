"""What the init phase imports, asked of a fresh process: every module is paid for at every cold start."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
ALLOWED = {"handler", "numpy", "PIL"}  # besides the standard library
PROGRAM = """
import json, sys
before = set(sys.modules)
import handler.app
json.dump(sorted({name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names), sys.stdout)
"""


def test_init_imports_numpy_and_pillow_and_nothing_else(tmp_path: Path) -> None:
    environ = {"OPENCLIP_BUNDLE_DIR": str(tmp_path / "nothing"), "OPENCLIP_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    assert set(json.loads(done.stdout)) == ALLOWED


def test_pillow_brings_only_the_decoders_that_are_allowed(tmp_path: Path) -> None:
    program = PROGRAM.replace('.partition(".")[0]', "").replace(" - sys.stdlib_module_names", "")
    environ = {"OPENCLIP_BUNDLE_DIR": str(tmp_path / "nothing"), "OPENCLIP_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    plugins = {name for name in json.loads(done.stdout) if name.endswith("ImagePlugin")}
    assert plugins == {f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Jpeg", "Png", "WebP")}
