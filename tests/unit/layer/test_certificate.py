"""A certificate from given vectors of two sides: what is left out, what is written, what the gate refuses."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from layer.bundle import manifest
from layer.bundle.build_cache import Built
from layer.cli import quality_table
from layer.cli.parser import main
from layer.errors import EvaluationError
from layer.gate.settings import Evaluation
from layer.quality import evaluate, sides
from layer.quality.certificate import certify
from layer.quality.chart import draw
from layer.quality.data import Data, LeftOut
from layer.quality.embedding import Embedded, embed, of_handler, of_open_clip
from layer.sources.prepared.chosen import Options
from layer.spec import Spec, Target
from tests.unit import manifests

COUNT = 40
Vectors = Any


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """Images of one pixel's color each, every one with a caption."""
    (tmp_path / "images").mkdir()
    rows = ["image,caption"]
    for number in range(COUNT):
        Image.new("RGB", (2, 2), (number, 0, 0)).save(tmp_path / "images" / f"{number}.png")
        rows.append(f"images/{number}.png,caption {number}")
    (tmp_path / "mine.csv").write_text("\n".join(rows))
    return evaluate.data_of(Evaluation(pairs=tmp_path / "mine.csv"))[0]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "bundle").mkdir()
    manifest.write_facts(tmp_path / "bundle", manifests.manifest_of([manifests.model("acme/clip")], []))
    return tmp_path / "bundle"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[Embedded, Embedded], None]:
    """Return what sets the vectors of both sides; open_clip gets those of the data that it is asked for."""

    def give(ours: Embedded, theirs: Embedded) -> None:
        def of_the_rest(_: Any, asked: Data) -> Embedded:
            kept = [int(path.stem) for path in asked.images]
            refused = {kept.index(place): why for place, why in theirs.refused["image"].items() if place in kept}
            texts = [int(text.removeprefix("caption ")) for text in asked.texts]
            return Embedded(theirs.images[kept], theirs.texts[texts], {"image": refused, "text": {}})

        monkeypatch.setattr(sides, "by_handler", lambda *_: ours)
        monkeypatch.setattr(sides, "by_open_clip", of_the_rest)

    return give


def vectors(noise: float = 0.0, seed: int = 0) -> Embedded:
    """Captions that are near their images, as far off as `noise`."""
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((COUNT, 16)).astype(np.float32)
    texts = images + 0.3 * rng.standard_normal(images.shape).astype(np.float32)
    moved = images + noise * np.random.default_rng(9).standard_normal(images.shape).astype(np.float32)
    unit = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (moved, texts)]
    return Embedded(*unit)


def places(tmp_path: Path) -> evaluate.Places:
    return evaluate.Places(Spec(Target(), ()), {}, Options(), tmp_path / "cache")


def bundled(bundle: Path, tmp_path: Path) -> sides.Bundled:
    facts = manifest.read(bundle)
    return sides.Bundled(bundle, facts, facts.models[0], Spec(Target(), ()), {}, Options(), tmp_path / "cache")


def test_equal_vectors_lose_nothing(data: Data, bundle: Path, tmp_path: Path, given: Any) -> None:
    given(vectors(), vectors())

    made, _ = certify(bundled(bundle, tmp_path), data)

    found = {(one.output, one.metric): one for one in made.figures}
    same = found["float", "mean recall"]
    assert (same.loss, same.loss_low, same.loss_high) == (0, 0, 0)
    assert len(found) == 4 * 7
    means = [found["open_clip", name].value for _, name in list(found)[:28:4] if name != "mean recall"]
    assert found["open_clip", "mean recall"].value == pytest.approx(sum(means) / 6, abs=1e-5)


def test_what_either_side_refuses_is_left_out_of_both(data: Data, bundle: Path, tmp_path: Path, given: Any) -> None:
    ours, theirs = vectors(), vectors()
    ours.refused["image"][3], ours.refused["text"][5] = "too large", "too long"
    theirs.refused["image"][7] = "truncated"
    given(ours, theirs)

    made, left = certify(bundled(bundle, tmp_path), data)

    assert {one.reason for one in left.left_out} == {"too large", "too long", "truncated"}
    assert (made.images, made.texts, made.left_out, made.given) == (COUNT - 3, COUNT - 3, 3, COUNT - 3)
    [same] = [one for one in made.figures if (one.output, one.metric) == ("float", "mean recall")]
    assert same.loss == 0


def test_where_nearly_nothing_is_left_the_reasons_are_told(
    data: Data, bundle: Path, tmp_path: Path, given: Any
) -> None:
    ours = vectors()
    ours.refused["image"] = dict.fromkeys(range(COUNT - 1), "no image")
    given(ours, vectors())

    with pytest.raises(EvaluationError, match=r"1 and 1 can be measured: give two of each or more\n  .*: no image"):
        certify(bundled(bundle, tmp_path), data)


def test_it_is_written_beside_others_shown_drawn_and_kept(
    data: Data, bundle: Path, tmp_path: Path, given: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    given(vectors(), vectors())
    results = evaluate.evaluate(bundle, "https://huggingface.co/acme/clip", [data], places(tmp_path))
    evaluate.write(bundle, results)
    other = [replace(one, certificate=replace(one.certificate, data="other.csv")) for one in results]
    evaluate.write(bundle, other)

    [model] = manifest.read(bundle).models
    assert model.quality
    assert [one.data for one in model.quality] == ["mine.csv", "other.csv"]
    assert main(["inspect", "--bundle", str(bundle)]) == 0
    assert f"acme/clip, onnx int8 on mine.csv: {COUNT} images, {COUNT} captions" in capsys.readouterr().out
    draw(results, tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as chart:
        assert chart.format == "PNG"

    built = manifests.manifest_of([manifests.model("acme/clip")], [])
    assert manifest.with_quality_of(built, bundle).models[0].quality == model.quality
    another = manifests.manifest_of([manifests.model("acme/clip", precision="fp32")], [])
    assert manifest.with_quality_of(another, bundle).models[0].quality is None, "the figures are of another model"

    released = replace(built, models=[replace(built.models[0], vectors_sha256="0" * 64)])
    assert manifest.with_quality_of(released, bundle).models[0].quality is None, "other code computes other vectors"
    assert "note: the figures of acme/clip were measured of other vectors, and are left out" in capsys.readouterr().err

    measured = replace(model.quality[0], left_out=1)
    built = replace(built, models=[replace(built.models[0], quality=[measured])])
    kept = manifest.with_quality_of(built, bundle).models[0].quality
    assert kept == [model.quality[1], measured], "what a build measured stands in for the earlier figures of that data"
    with pytest.raises(EvaluationError, match="has no model 'x': it has acme/clip"):
        evaluate.evaluate(bundle, "x", [data], places(tmp_path))


def test_the_same_figures_measured_again_leave_the_bundle_its_hash(
    data: Data, bundle: Path, tmp_path: Path, given: Any
) -> None:
    given(vectors(), vectors())
    [result] = evaluate.evaluate(bundle, None, [data], places(tmp_path))
    evaluate.write(bundle, [result])
    before = (bundle / manifest.NAME).read_bytes()

    later = replace(result, certificate=replace(result.certificate, created_at="2030-01-01T00:00:00Z"))
    assert not evaluate.write(bundle, [later])
    assert (bundle / manifest.NAME).read_bytes() == before, "vectors of before would be refused"

    assert evaluate.write(bundle, [replace(later, certificate=replace(later.certificate, left_out=1))])
    [model] = manifest.read(bundle).models
    assert [(one.left_out, one.created_at) for one in model.quality or ()] == [(1, "2030-01-01T00:00:00Z")]


def test_a_sample_is_told_also_where_rows_were_left_out(
    data: Data, bundle: Path, tmp_path: Path, given: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    given(vectors(), vectors())
    missing = tuple(LeftOut(f"{number}.png", "is not there") for number in range(50))

    made, _ = certify(bundled(bundle, tmp_path), replace(data, given=COUNT + 20, left_out=missing))
    quality_table.show("acme/clip", made)

    assert f"acme/clip on mine.csv: {COUNT} of {COUNT + 20} images, " in capsys.readouterr().out


def test_a_build_says_how_much_of_the_data_it_could_not_measure(
    data: Data, bundle: Path, tmp_path: Path, given: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    given(vectors(), vectors())
    part = Built(bundle, manifest.read(bundle), {})

    def noted(rows: str) -> str:
        with (tmp_path / "mine.csv").open("a") as table:
            table.write(rows)
        evaluate.certified([part], Evaluation(pairs=tmp_path / "mine.csv"), places(tmp_path))
        lines = capsys.readouterr().err.splitlines(keepends=True)
        return "".join(line for line in lines if line.startswith("note: "))

    assert noted("") == ""
    assert noted("\ngone.png,x\nimages/1.png,\n") == (
        f"note: acme/clip: 2 rows or files of mine.csv cannot be used, {COUNT} images measured: "
        "`python -m layer evaluate` says why\n"
    )


@pytest.mark.parametrize(("bound", "refused"), [(0.002, True), (0.9, False), (None, False)])
def test_the_gate_refuses_a_loss_with_the_numbers(
    data: Data, bundle: Path, tmp_path: Path, given: Any, bound: float | None, refused: bool
) -> None:
    given(vectors(noise=2), vectors())
    results = evaluate.evaluate(bundle, None, [data], places(tmp_path))
    asked = Evaluation(pairs=tmp_path / "mine.csv", max_recall_loss=bound)

    if not refused:
        evaluate.refuse_loss(asked, results)
        return
    with pytest.raises(EvaluationError) as told:
        evaluate.refuse_loss(asked, results)
    [lost] = [one for one in results[0].certificate.figures if (one.output, one.metric) == ("float", "mean recall")]
    assert lost.loss > 0.1
    assert f"mean recall {lost.value:.4f}, open_clip {lost.value + lost.loss:.4f}: {lost.loss:.4f} lost" in str(
        told.value
    )
    assert "max_recall_loss = 0.002" in str(told.value)


def test_a_batch_that_is_refused_is_asked_one_by_one(data: Data) -> None:
    asked: list[int] = []

    def handler(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(len(request["input"]))
        bad = [item for item in request["input"] if item.get("text") == "caption 3"]
        if bad:
            return {"error": {"message": "a text that is refused", "code": "x"}}
        return {"data": [{"embedding": "AACAPwAAAAA="} for _ in request["input"]]}  # 1.0, 0.0

    found = embed(of_handler(handler, "acme/clip"), data)

    assert found.refused == {"image": {}, "text": {3: "a text that is refused"}}
    assert found.texts[2].tolist() == [1, 0]
    assert found.texts[3].tolist() == [0, 0]
    assert asked.count(1) == COUNT
    with pytest.raises(EvaluationError, match="open_clip: images: none can be embedded: all broken"):
        embed(of_open_clip(lambda _: json.loads('{"error": {"message": "all broken"}}')), data)
