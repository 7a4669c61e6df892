"""What the init phase imports, asked of a fresh process: every module is paid for at every cold start."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit import fake_bundle

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


# Ours, (modules, packages): finding, reading and running one costs 0.1 ms, and a package has a directory to list too.
# What is added to the path of every cold start shows here. Raise a number only with that in mind.
MOST = {"start": (37, 7), "text": (0, 0), "image": (6, 0), "engine": (11, 0)}
LATE = {"dataclasses", "difflib", "gzip", "hashlib", "http", "uuid"}  # 0.3 to 2 ms each
COUNTING = """
import base64, io, json, sys, threading, types
import numpy as np
from handler import engines, offline

class Toy:
    def __init__(self, *_):
        pass
    def load(self, modalities):
        pass
    def tokenize(self, texts, cut=None):
        return np.ones((len(texts), 4), np.int64)
    def encode_tokens(self, ids):
        return np.ones((len(ids), 4), np.float32)
    encode_images = encode_tokens

sys.modules["toy"] = types.ModuleType("toy")
sys.modules["toy"].Toy = Toy
engines.ENGINES["torch"] = "toy:Toy"
known, found = set(), {}

def count(phase):
    new = {name: module for name, module in sys.modules.items() if name not in known}
    known.update(new)
    ours = sorted(name for name in new if name.partition(".")[0] == "handler")
    packages = [name for name in ours if hasattr(new[name], "__path__")]
    found[phase] = {"modules": ours, "packages": packages, "others": sorted({*new} - {*ours})}

known.update(name for name in sys.modules if not name.startswith("handler"))
from handler.app import lambda_handler
[thread.join() for thread in threading.enumerate() if thread.name == "openclip-load"]
count("start")
from PIL import Image
png = io.BytesIO()
Image.new("RGB", (9, 7)).save(png, "PNG")
for phase, item in (("text", "a red circle"), ("image", {"image": base64.b64encode(png.getvalue()).decode()})):
    event = {
        "version": "2.0", "rawPath": "/v1/embeddings", "body": json.dumps({"input": [item]}),
        "headers": {"content-type": "application/json"}, "requestContext": {"http": {"method": "POST"}},
    }
    assert lambda_handler(event, None)["statusCode"] == 200
    count(phase)
import handler.engines.onnx_engine, handler.engines.openvino_engine
count("engine")
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    bundle = fake_bundle.write(tmp_path_factory.mktemp("bundle"))
    environ = {"OPENCLIP_BUNDLE_DIR": str(bundle), "OPENCLIP_CACHE_DIR": str(bundle / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", COUNTING], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("phase", MOST)
def test_a_cold_start_and_its_first_requests_import_few_modules_and_packages_of_ours(found: Any, phase: str) -> None:
    modules, packages = found[phase]["modules"], found[phase]["packages"]
    assert len(modules) <= MOST[phase][0], modules
    assert len(packages) <= MOST[phase][1], packages


def test_the_first_requests_do_without_what_is_slow_to_import(found: Any) -> None:
    used = {name for phase in ("start", "text", "image") for name in found[phase]["others"]}
    assert LATE & used == set()


def test_without_code_of_a_user_s_own_nothing_is_imported_for_it(found: Any) -> None:
    ours = {name for phase in found for name in found[phase]["modules"]}
    assert not [name for name in ours if name.startswith(("handler.extensions", "handler.http.extended"))]


def test_a_plain_request_imports_no_other_vendor_s_adapter(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.unit.fake_bundle import FakeFunction
function = FakeFunction(Path(sys.argv[1]))
assert function.post({"input": ["a", {"text": "b"}], "encoding_format": "base64"})[0] == 200
assert function.post({"input": ""})[0] == 400
late = ("handler.endpoints.dialects", "handler.endpoints.quantize", "handler.schemas.parts", "handler.http.inflate")
print([name for name in sys.modules if name.startswith(late)])
"""
    command = [sys.executable, "-c", program, str(tmp_path / "bundle")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
