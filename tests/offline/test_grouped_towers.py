"""A built model whose image tower has a second graph: which one a host runs, and that host blobs are of that one."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.results import least_cosine
from handler.engines.host_kind import multiplies_by_avx512
from layer.bundle import assemble, host_blobs, manifest
from layer.bundle.build_cache import Built
from layer.spec import Spec
from tests.bounds import MIN_COSINE
from tests.hub import repositories
from tests.hub.builder import Builder
from tests.hub.server import serving
from tests.patience import SECONDS

ROOT = Path(__file__).parents[2]
WIDTH = 256
MODEL = '[[model]]\nname = "hf-hub:acme/wide"\nengine = "openvino"\nprecision = "int8"\n'
# Embeds the golden images through lambda_handler, on a processor that multiplies by AVX-512 as the test says.
PROBE = """
import json, os, sys
from handler.engines import openvino_engine
if sys.argv[1:]:
    openvino_engine.multiplies_by_avx512 = lambda: sys.argv[1] == "by avx512"
from handler import app
told = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
images = app.SERVICE.models.manifest.models[0].golden.images
body = {"input": [{"image": image} for image in images], "encoding_format": "base64"}
found = [row["embedding"] for row in app.lambda_handler(body, None)["data"]]
event = {"version": "2.0", "rawPath": "/health", "requestContext": {"http": {"method": "GET", "path": "/health"}}}
[model] = json.loads(app.lambda_handler(event, None)["body"])["models"]
told.write(json.dumps([found, model]))
told.close()
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("wide")
    repositories.small_clip(root / "repository", WIDTH)
    with serving() as hub:
        hub.add("acme/wide", root / "repository")
        builder = Builder(root / "work", hub)
        run = builder.run(MODEL)
    assert run.returncode == 0, run.stderr
    return builder.bundle


def towers(bundle: Path) -> Any:
    [entry] = json.loads((bundle / "manifest.json").read_text())["models"]
    return entry


def served(bundle: Path, *arguments: str) -> tuple[list[str], dict[str, Any]]:
    environ = {**os.environ, "OPENCLIP_BUNDLE_DIR": str(bundle), "OPENCLIP_EXTENSIONS": "none"}
    command = [sys.executable, "-c", PROBE, *arguments]
    run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True, timeout=SECONDS)
    vectors, model = json.loads(run.stdout)
    return vectors, model


def decoded(vectors: list[str]) -> list[Any]:
    return [np.frombuffer(base64.b64decode(row), "<f4") for row in vectors]


def test_the_build_writes_and_records_it(bundle: Path) -> None:
    entry = towers(bundle)
    image, text = (entry["export"][tower] for tower in ("image", "text"))
    assert image["grouped"]["activation_group"] == WIDTH
    assert image["grouped"]["min_cosine"] >= MIN_COSINE["int8"]
    assert "grouped" not in text, "it has a scale for each row, and groups on every processor"
    files = {file["path"].rpartition("/")[2] for file in json.loads((bundle / "manifest.json").read_text())["files"]}
    assert {"image.xml", "image.grouped.xml", "image.bin", "text.xml", "text.bin"} <= files
    assert "image.grouped.bin" not in files


def test_a_host_with_amx_keeps_the_first_graph_and_one_with_vnni_alone_takes_the_second(bundle: Path) -> None:
    expected = towers(bundle)["golden"]["image_embeddings"]
    first, second = (served(bundle, word) for word in ("with amx", "by avx512"))
    assert not first[1]["variants"]["image"].endswith("in groups")
    if multiplies_by_avx512():  # without VNNI none of the two is right
        assert second[1]["variants"]["image"].endswith("in groups")
        assert first[0] != second[0]
    for vectors, _ in (first, second):
        assert least_cosine(decoded(expected), decoded(vectors)) >= MIN_COSINE["int8"]


def test_this_host_takes_what_suits_its_processor(bundle: Path) -> None:
    taken = served(bundle)[1]["variants"]["image"]
    assert taken.endswith("in groups") == multiplies_by_avx512()


def test_a_host_blob_is_of_the_graph_that_this_host_runs(bundle: Path, tmp_path: Path) -> None:
    facts = manifest.read(bundle)
    [made] = host_blobs.with_blobs([Built(bundle, facts, {})], Spec(facts.target, ()), tmp_path / "cache")
    assemble.assemble([made], manifest.joined(Spec(facts.target, ()), [made.facts]), tmp_path / "bundle")
    (vectors, model), (expected, plain) = served(tmp_path / "bundle"), served(bundle)
    assert (model["compiled"]["image"], plain["compiled"]["image"]) == ("host blob", "at load")
    assert model["variants"] == plain["variants"]
    assert vectors == expected
    [blob] = [blob for blob in made.facts.models[0].host_blobs or () if blob.tower == "image"]
    assert (blob.settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] == str(WIDTH)) == multiplies_by_avx512()
