"""Each engine, chosen by one word in models.toml, serves the trained demo model as open_clip itself does."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from benchmarks import event, page_cache, samples, start_steps
from benchmarks.peers.contender import Setup
from benchmarks.peers.entries import OURS
from benchmarks.peers.results import least_cosine
from handler.engines.host_kind import saturates
from layer.bundle import sandbox
from layer.bundle.manifest import read
from layer.bundle.records import as_json
from layer.demo import evaluate
from layer.package.wheels import needed
from tests.bounds import MIN_COSINE
from tests.conftest import build_demo
from tests.hub.repositories import demo_snapshot
from tests.offline import compared_inputs
from tests.offline.packaged import packaged

ROOT = Path(__file__).parents[2]
SEED, COUNT = 3, 640  # of the images that the probe draws
MIN_COSINE_IN_BATCH = {"fp32": 0.99999, "int8": 0.9995}  # cosine of an item alone to the same in a batch


@dataclass(frozen=True)
class Served:
    """A bundle of one engine, and what the probe said of it."""

    engine: str
    precision: str
    bundle: Path
    said: Any

    @property
    def entry(self) -> Any:
        return json.loads((self.bundle / "manifest.json").read_text())["models"][0]


@pytest.fixture(scope="module", params=["openvino int8", "openvino fp32", "onnx int8", "onnx fp32", "torch fp32"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    engine, precision = request.param.split()
    bundle = build_demo(tmp_path_factory.mktemp(engine), engine, precision)
    bare = [] if engine == "torch" else ["layer.bundle.runtime_only"]
    run = sandbox.run(bundle, ["-m", *bare, "tests.offline.engine_probe"])
    assert run.returncode == 0, run.stderr
    return Served(engine, precision, bundle, json.loads(run.stdout))


@pytest.fixture(scope="module")
def open_clips_own() -> dict[str, float]:
    """Zero-shot accuracy of open_clip itself on the same images."""
    return evaluate.measure(evaluate.load(f"local-dir:{demo_snapshot()}"), SEED, COUNT, 1).zero_shot


def test_the_manifest_is_as_its_published_schema_says(served: Served) -> None:
    schema = json.loads((ROOT / "docs" / "manifest.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    manifest = json.loads((served.bundle / "manifest.json").read_text(encoding="utf-8"))

    assert [error.message for error in Draft202012Validator(schema).iter_errors(manifest)] == []
    assert as_json(read(served.bundle)) == manifest  # the records have a place for all that was written


def test_accuracy_drops_by_at_most_half_a_point(served: Served, open_clips_own: dict[str, float]) -> None:
    for language, own in open_clips_own.items():
        assert served.said["zero_shot"][language] >= own - 0.005


def test_an_item_has_the_same_embedding_alone_and_in_a_batch(served: Served) -> None:
    assert served.said["alone_or_together"] >= MIN_COSINE_IN_BATCH[served.precision]


def test_only_the_reference_engine_has_torch_and_a_checkpoint(served: Served) -> None:
    names = {path.name for path in served.bundle.rglob("*") if path.is_file()}
    assert served.said["torch"] == (served.engine == "torch") == ("open_clip_model.safetensors" in names)
    if served.engine != "torch":
        kinds = {"onnx": ("onnx", "data"), "openvino": ("xml", "bin")}[served.engine]
        graphs = {f"{tower}.{kind}" for tower in ("image", "text") for kind in kinds}
        table = {"text.table.npy", *(["text.table.scales.npy"] if served.precision == "int8" else [])}
        per_token_files = {"image.wide.onnx", "text.wide.onnx", "probe.onnx"}
        wide = per_token_files if (served.engine, served.precision) == ("onnx", "int8") else set()
        assert names == {"manifest.json", "tokenizer.json", *graphs, *table, *wide}


def test_the_manifest_records_how_exact_the_towers_are(served: Served) -> None:
    if served.engine == "torch":
        assert "export" not in served.entry
        return
    parity = served.entry["export"]["parity"]
    assert min(parity["min_text_cosine"], parity["min_image_cosine"]) >= MIN_COSINE[served.precision]
    assert (parity["texts"], parity["images"]) == (16, 21)  # eight photographs among them
    assert all(served.entry["export"][tower]["recipe"] for tower in ("image", "text"))


def test_600_mixed_requests_leave_no_memory_behind(served: Served) -> None:
    bare = [] if served.engine == "torch" else ["layer.bundle.runtime_only"]
    run = sandbox.run(served.bundle, ["-m", *bare, "tests.offline.soak_probe"])
    assert run.returncode == 0, run.stderr

    said = json.loads(run.stdout)
    assert said["refused"] == 30
    assert said["end"] <= 1.05 * said["settled"]


def logged(served: Served, stderr: str) -> list[str]:
    """Return the lines of a log but the one that says of a processor without VNNI what is taken there."""
    lines = stderr.splitlines()
    others = [line for line in lines if "8-bit products saturate" not in line]
    told = saturates() and served.engine != "torch" and served.precision == "int8"
    assert len(lines) - len(others) == told, stderr
    return others


def test_eight_threads_get_the_vectors_that_one_gets(served: Served) -> None:
    bare = [] if served.engine == "torch" else ["layer.bundle.runtime_only"]
    run = sandbox.run(served.bundle, ["-m", *bare, "tests.offline.several_threads_probe"])
    assert run.returncode == 0, run.stderr

    assert json.loads(run.stdout) == {"engine": {"equal": 2_000}, "function": {"equal": 500}}
    assert not [line for line in logged(served, run.stderr) if "refuses" in line]


def test_a_cold_start_of_what_is_packaged_logs_nothing_but_lines_of_ours(served: Served, tmp_path: Path) -> None:
    tree = packaged(needed(read(served.bundle).models), tmp_path / "tree")
    lambdas = {"AWS_LAMBDA_FUNCTION_NAME": "openclip", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3008"}
    paths = {"PYTHONPATH": f"{tree}{os.pathsep}{sandbox.ROOT}"}
    run = sandbox.run(served.bundle, ["-S", "-m", "tests.offline.cold_start_probe"], {**lambdas, **paths})

    assert (run.returncode, logged(served, run.stderr)) == (0, [])
    [line] = run.stdout.splitlines()
    assert (json.loads(line)["status"], json.loads(line)["cold"]) == (200, True)


def test_a_setting_that_the_processor_refuses_gives_way_to_the_next(served: Served) -> None:
    run = sandbox.run(served.bundle, ["-m", "handler.selfcheck"], {"ONEDNN_MAX_CPU_ISA": "AVX2"})

    assert run.returncode == 0, run.stdout
    [report] = json.loads(run.stdout)["models"]
    assert min(report["min_text_cosine"], report["min_image_cosine"]) >= MIN_COSINE[served.precision]
    if (served.engine, served.precision) == ("openvino", "int8"):
        assert "8-bit products saturate" in run.stderr


def test_the_graphs_for_processors_that_saturate_are_as_exact(served: Served, tmp_path: Path) -> None:
    if (served.engine, served.precision) != ("onnx", "int8"):
        assert not list(served.bundle.rglob("*.wide.onnx"))
        return
    bundle = tmp_path / "bundle"
    shutil.copytree(served.bundle, bundle)
    [probe] = bundle.rglob("probe.onnx")
    # Sums that are too small, as such a processor's are.
    probe.write_bytes(probe.read_bytes().replace(b"\x7f" * 64, b"\x7e" * 64))

    run = sandbox.run(bundle, ["-m", "handler.selfcheck"])

    assert "8-bit products saturate" in run.stderr
    [report] = json.loads(run.stdout)["models"]
    assert min(report["min_text_cosine"], report["min_image_cosine"]) >= MIN_COSINE[served.precision]


def test_one_caption_through_the_handler_costs_at_most_3_ms_over_the_engine(served: Served) -> None:
    run = sandbox.run(served.bundle, ["-m", "tests.offline.overhead_probe"])
    assert run.returncode == 0, run.stderr

    median = json.loads(run.stdout)
    assert 0 < median["over"] <= 3 * median["yardstick"], median  # a slower processor may take longer


@pytest.mark.parametrize("processors", [1, 2])
def test_no_more_threads_compute_than_there_are_processors(served: Served, processors: int) -> None:
    run = sandbox.run(served.bundle, ["-m", "tests.offline.threads_probe", str(processors), "20"])
    assert run.returncode == 0, run.stderr

    said = json.loads(run.stdout)
    assert said["seconds"] > 0.1, "too little work to count"
    assert said["busy"] <= processors


def test_a_request_loads_the_tower_that_it_needs(served: Served) -> None:
    if served.engine == "torch":
        return  # open_clip makes both towers at once
    run = sandbox.run(served.bundle, ["-m", "tests.offline.towers_probe"])
    assert run.returncode == 0, run.stderr

    after_image, after_text = json.loads(run.stdout)

    assert "tokenizers" not in after_image
    assert "text" not in after_image
    assert "tokenizers" in after_text


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """The inputs of the benchmark with peers, and open_clip's embeddings of them."""
    return compared_inputs.written(tmp_path_factory.mktemp("compared"), {})[0]


def test_the_benchmark_measures_open_clips_work_in_towers_and_in_requests(served: Served, compared: Setup) -> None:
    name = f"{served.engine}-{served.precision}"
    for entry in (one for one in OURS if one.options["engine"] == name):
        wanted = compared_inputs.expected(compared.peers)
        for towers in (True, False):
            setup = compared._replace(bundles={name: served.bundle})
            found = compared_inputs.of_process(entry._replace(towers=towers), setup)
            for kind, vectors in wanted.items():
                assert least_cosine(vectors, found[kind]) >= MIN_COSINE[served.precision], (kind, towers)


# The steps that each engine has besides what all of them have.
STEPS = {
    "onnx": {"image tower", "text tower"},
    "openvino": {"image tower", "image tower, packing", "text tower", "text tower, packing"},
    "torch": {"both towers", "cache links"},
}


def test_the_steps_of_a_start_have_names_and_make_its_whole(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_cache, "drop", lambda: False)  # other tests run beside this one
    request = tmp_path / "request.json"
    image = samples.image(np.random.default_rng(0))
    request.write_text(json.dumps(event.embeddings([image], [samples.CAPTION])))
    # What a machine does in between may fall into no step, or after the last: not in each of several starts.
    starts = [start_steps.start(served.bundle, request) for _ in range(3)]
    start = min(starts, key=lambda one: one.whole - sum(one.steps.values()) + one.steps["other"])

    assert sum(start.steps.values()) == pytest.approx(start.whole, rel=0.05)
    assert start.steps["other"] < 0.2 * start.whole, f"too much has no name: {start.steps}"
    common = {"interpreter", "handler", "manifest", "shared libraries", "engine", "tokenizer", "image", "first run"}
    found = {step for step, seconds in start.steps.items() if seconds}
    assert found - {"answer", "other"} == common | STEPS[served.engine]
