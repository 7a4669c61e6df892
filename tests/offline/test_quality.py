"""The quality certificate of the demo model on 2,000 drawn images, and a gate that refuses weights of 3 bits."""

import csv
import json
import shlex
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
from PIL import Image

from layer.bundle import manifest, verify
from layer.bundle.quality_records import Figure
from layer.cli.parser import main
from layer.demo.evaluate import load
from layer.demo.quality_data import write_pairs
from layer.demo.snapshot import HUB
from layer.engines import ENGINES, Recipe
from layer.export import bounds, onnx_int8
from tests.conftest import ROOT, SPEC
from tests.documents import Block, marked
from tests.transcript import difference

BITS = 3
REPOSITORY = HUB / "models--openclip-lambda--shapes-i18n"
SNAPSHOT = REPOSITORY / "snapshots" / (REPOSITORY / "refs" / "main").read_text()
COUNT = 2_000
GATE = '[evaluate]\npairs = "drawn/captions.csv"\n[gate]\nmax_recall_loss = 0.01\n'


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the demo model for ONNX Runtime in int8, measured and held to a gate as models.toml says."""
    root = tmp_path_factory.mktemp("quality")
    write_pairs(root / "drawn", COUNT)
    (root / "models.toml").write_text(SPEC.format(engine="onnx", precision="int8") + GATE)
    assert layer(root, "build") == 0
    return root


def layer(root: Path, command: str, *options: str) -> int:
    line = [command, "--models", str(root / "models.toml"), "--cache", str(root / "cache"), *options]
    return main([*line, "--output" if command == "build" else "--bundle", str(root / "bundle")])


def of_the_page(start: str) -> Block:
    [found] = [block for block in marked(__file__, "docs/quality.md") if block.code.startswith(start)]
    return found


def figures(bundle: Path) -> dict[tuple[str, str], Figure]:
    [model] = manifest.read(bundle).models
    assert model.quality
    return {(one.output, one.metric): one for one in model.quality[0].figures}


def test_the_certificate_is_in_the_manifest_as_the_schema_says(root: Path) -> None:
    schema = json.loads((ROOT / "docs" / "manifest.schema.json").read_text(encoding="utf-8"))
    written = json.loads((root / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    jsonschema.validate(written, schema)

    [made] = written["models"][0]["quality"]
    assert (made["kind"], made["data"], made["images"], made["left_out"]) == ("pairs", "captions.csv", COUNT, 0)
    assert (made["resamples"], made["seed"], made["confidence"]) == (2000, 0, 0.95)


def test_the_intervals_of_fp32_and_int8_overlap(root: Path) -> None:
    found = figures(root / "bundle")
    for metric in {metric for _, metric in found}:
        for output in ("float", "int8"):
            ours, exact = found[output, metric], found["open_clip", metric]
            assert max(ours.low, exact.low) <= min(ours.high, exact.high), (metric, ours, exact)
    assert found["binary", "mean recall"].loss_low > 0.1, "of 64 dimensions, a bit each is not enough, and it shows"


def test_recall_is_what_counting_finds(root: Path) -> None:
    """From the vectors of open_clip that were kept, without the code that ranks."""
    [kept] = [path for path in (root / "cache" / "quality").glob("*.npz") if _is_of_open_clip(root, path)]
    vectors = np.load(kept)
    with (root / "drawn" / "captions.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    places = {name: place for place, name in enumerate(dict.fromkeys(row["image"] for row in rows))}
    texts = {text: place for place, text in enumerate(dict.fromkeys(row["caption"] for row in rows))}
    right = defaultdict(set)
    for row in rows:
        right[texts[row["caption"]]].add(places[row["image"]])
    nearest = np.argsort(-(vectors["texts"] @ vectors["images"].T), axis=1)
    found = figures(root / "bundle")
    for k in (1, 5, 10):
        share = np.mean([bool(right[place] & set(nearest[place, :k].tolist())) for place in range(len(texts))])
        assert found["open_clip", f"text-to-image recall@{k}"].value == pytest.approx(share, abs=1e-6)


def _is_of_open_clip(root: Path, path: Path) -> bool:
    """Tell whether vectors that were kept are the nearer ones to what open_clip says of the first image."""
    with Image.open(root / "drawn" / "images" / "00000.png") as image:
        [exact] = load(f"local-dir:{SNAPSHOT}").images([image]).numpy()
    apart = {other: np.abs(np.load(other)["images"][0] - exact).max() for other in path.parent.glob("*.npz")}
    return bool(apart[path] == min(apart.values()))


def three_bits(fp32: Path, recipe: Recipe, target: Path) -> None:
    """Write a tower as ONNX Runtime's writer does, of weights that were rounded to 3 bits an output channel."""
    model = onnx.load(fp32)
    for tensor in model.graph.initializer:
        weights = onnx.numpy_helper.to_array(tensor)
        if weights.dtype != np.float32 or weights.ndim < 2:
            continue
        scale = np.abs(weights).max(axis=tuple(range(1, weights.ndim)), keepdims=True) / (2 ** (BITS - 1) - 1)
        rounded = np.rint(weights / np.maximum(scale, 1e-12)) * scale
        tensor.CopyFrom(onnx.numpy_helper.from_array(rounded.astype(np.float32), tensor.name))
    broken = target.with_name(f"{target.stem}.broken.onnx")
    onnx.save(model, broken)
    onnx_int8.write_runtime_graph(broken, recipe, target)
    broken.unlink()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make the builder write weights of 3 bits, by the one recipe that leaves them as they are."""
    engine = replace(ENGINES["onnx"], recipes={"int8": (Recipe("3 bits"),)}, writer=f"{__name__}:three_bits")
    monkeypatch.setitem(ENGINES, "onnx", engine)
    monkeypatch.setattr("layer.bundle.build_cache.find", lambda *_: None)  # or the sound one would be taken
    return monkeypatch


def test_weights_of_3_bits_are_refused_by_the_gate_with_the_numbers(
    root: Path, tmp_path: Path, broken: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (root / "bundle" / "manifest.json").read_bytes()
    exact = figures(root / "bundle")["open_clip", "mean recall"].value
    shutil.copytree(root / "cache", tmp_path / "cache")
    cache = ["--cache", str(tmp_path / "cache")]

    assert layer(root, "build", *cache) == 1, "the cosines alone refuse it"
    assert "3 bits: 0." in capsys.readouterr().err

    broken.setitem(bounds.MIN_COSINE, "int8", -1.0)
    broken.setattr(verify, "run_handler", lambda *_, **__: {"ok": True, "models": []})
    assert layer(root, "build", *cache) == 1
    told = capsys.readouterr().err.partition("error: ")[2]

    shown = of_the_page("error: [gate]").text.removeprefix("error: ")
    assert not (other := difference(shown, told, {str(root / "models.toml"): "models.toml"})), other
    assert "mean recall 0." in told
    assert f"open_clip {exact:.4f}" in told
    assert "max_recall_loss = 0.01" in told
    assert (root / "bundle" / "manifest.json").read_bytes() == before, "the bundle that was there is as it was"


def test_files_that_cannot_be_used_are_listed_and_the_rest_is_measured(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        folder = tmp_path / "mine" / ("one", "two")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "drawn" / "images" / f"{number:05d}.png", folder)
    (tmp_path / "mine" / "one" / "notes.txt").write_text("no image")
    (tmp_path / "mine" / "two" / "cut.png").write_bytes((root / "drawn/images/00007.png").read_bytes()[:999])
    before = (root / "bundle" / "manifest.json").read_bytes()
    chart = tmp_path / "chart.svg"

    options = ["--labels", str(tmp_path / "mine"), "--template", "a {}", "--template", "the {}"]
    assert layer(root, "evaluate", *options, "--chart", str(chart), "--json") == 0

    [found] = json.loads(capsys.readouterr().out)["evaluated"]
    assert (found["images"], found["texts"], found["templates"]) == (6, 2, ["a {}", "the {}"])
    reasons = {Path(one["what"]).name: one["reason"] for one in found["left_out"]}
    assert reasons["notes.txt"].startswith("the 8 bytes do not start like any of PNG")
    assert "truncated" in reasons["cut.png"] or "ends early" in reasons["cut.png"]
    assert chart.read_text().startswith("<?xml")
    [model] = manifest.read(root / "bundle").models
    assert model.quality
    assert [one.data for one in model.quality] == ["captions.csv", "mine"]
    assert main(["inspect", "--bundle", str(root / "bundle")]) == 0
    shown = capsys.readouterr().out
    assert "on captions.csv: 2,000 images" in shown
    assert "on mine: 6 images, 2 classes" in shown
    (root / "bundle" / "manifest.json").write_bytes(before)


def test_a_build_with_nothing_to_do_keeps_what_was_measured_and_embeds_nothing_again(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (root / "bundle" / "manifest.json").read_bytes()

    assert layer(root, "build") == 0

    assert "images of" not in capsys.readouterr().err
    assert (root / "bundle" / "manifest.json").read_bytes() == before

    text = (root / "models.toml").read_text()
    (root / "models.toml").write_text(text.replace(GATE, ""))
    assert layer(root, "build") == 0
    (root / "models.toml").write_text(text)
    assert (root / "bundle" / "manifest.json").read_bytes() == before, "nobody asked for a measurement, one is there"


def test_a_build_elsewhere_for_another_target_and_without_figures_makes_vectors_of_the_same_name(
    root: Path, tmp_path: Path
) -> None:
    """A CI runner has no `build/cache`: an index of the vectors from before must not be refused after its build."""
    spec = SPEC.format(engine="onnx", precision="int8")
    (tmp_path / "models.toml").write_text(f'[target]\npython = "3.12"\npackage = "layer"\n{spec}')
    line = ["build", "--models", str(tmp_path / "models.toml"), "--cache", str(tmp_path / "cache")]
    assert main([*line, "--output", str(tmp_path / "bundle")]) == 0

    measured, plain = manifest.read(root / "bundle"), manifest.read(tmp_path / "bundle")
    assert (plain.models[0].quality, bool(measured.models[0].quality)) == (None, True)
    assert (plain.target.python, measured.target.python) == ("3.12", "3.13")
    assert plain.models[0].vectors_sha256 == measured.models[0].vectors_sha256 is not None


def test_what_is_measured_is_printed_as_the_page_shows(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, labels = (
        shlex.split(line, comments=True) for line in of_the_page("python -m layer evaluate").text.splitlines()
    )
    assert pairs[:4] == labels[:4] == ["python", "-m", "layer", "evaluate"]
    before = (root / "bundle" / "manifest.json").read_bytes()
    for number in range(4):
        folder = tmp_path / "my-photos" / ("one", "two")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "drawn" / "images" / f"{number:05d}.png", folder)
    try:
        monkeypatch.chdir(root / "drawn")
        assert layer(root, "evaluate", *pairs[4:]) == 0
        printed = capsys.readouterr().out
        monkeypatch.chdir(tmp_path)
        assert layer(root, "evaluate", *labels[4:]) == 0
        assert "4 images, 2 classes" in capsys.readouterr().out
    finally:
        (root / "bundle" / "manifest.json").write_bytes(before)
    shown = of_the_page("openclip-lambda/shapes-i18n, ").text
    assert not (other := difference(shown, printed, {"onnx int8": "openvino int8"})), other
