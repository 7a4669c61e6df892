"""A start's steps: how time is shared out among threads, and the page that tells it."""

import json
from pathlib import Path

import pytest

from benchmarks import start_steps
from benchmarks.start.page import Bar, Start, markdown, write
from benchmarks.start.steps import OTHER, STEPS, Span, shares

ROOT = Path(__file__).parents[3]


def told(*spans: Span, last: float = 10.0) -> dict[str, float]:
    return {step: seconds for step, seconds in shares(spans, 0.0, last).items() if seconds}


def test_the_innermost_span_of_a_thread_counts_and_the_rest_is_other() -> None:
    found = told(Span(1, "handler", 1, 8), Span(1, "manifest", 2, 3), Span(1, "engine", 3, 6), Span(1, "image", 9, 10))

    assert found == {"handler": 3.0, "manifest": 1.0, "engine": 3.0, "image": 1.0, OTHER: 2.0}


def test_threads_share_a_moment_and_one_that_waits_has_none_of_it() -> None:
    found = told(
        Span(1, "handler", 0, 10),
        Span(1, None, 4, 8),  # waits for the other one
        Span(2, "engine", 2, 6),
    )

    assert found == {"handler": 2 + 2 / 2 + 2, "engine": 2 / 2 + 2, OTHER: 2.0}


def test_what_is_before_and_after_counts_for_nothing() -> None:
    assert told(Span(1, "engine", -5, 3), Span(2, "tokenizer", 9, 40)) == {"engine": 3.0, OTHER: 6.0, "tokenizer": 1.0}


def starts(*wholes: float) -> list[Start]:
    return [Start(whole, {**dict.fromkeys(STEPS, 0.0), "engine": whole / 2, OTHER: whole / 2}) for whole in wholes]


def test_a_bar_is_the_start_that_is_the_median_and_its_steps_make_its_whole() -> None:
    found = {Bar("ViT-B-32", "onnx int8", "image"): starts(9.0, 0.4, 0.8, 0.6, 0.5)}
    rows = {row.split("|")[1].strip(): row.split("|")[2].strip() for row in table(markdown(found, "a", "b"))}

    assert rows["engine"] == "300 / 250"  # the median and the 20th percentile
    assert rows["**whole**"] == "**600 / 500**"
    assert rows["tokenizer"] == "-"


def table(page: str) -> list[str]:
    return [line for line in page.partition("## ViT-B-32")[2].splitlines() if line.startswith("|")]


def test_a_page_and_a_chart_are_written_and_nothing_else(tmp_path: Path) -> None:
    found = {Bar(model, "onnx int8", "both"): starts(0.5) for model in ("ViT-B-32", "ViT-L-14")}
    write(found, "python -m benchmarks.start_steps x", "2026-01-01", tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {"start.md", "start.png"}
    assert (tmp_path / "start.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "start.md").read_text()
    assert page.count("\n## ") == 2
    assert all(f"| {step} | {text} |" in page for step, text in STEPS.items())


def test_the_page_tells_which_command_makes_it_and_that_make_bench_does_not() -> None:
    found = {Bar("ViT-B-32", "onnx int8", "both"): starts(0.5)}
    made, kept = markdown(found, "THE COMMAND", "today"), (ROOT / "docs" / "start.md").read_text()
    recipe = (ROOT / "Makefile").read_text().partition("\nbench:")[2].partition("\n\n")[0]

    assert "`THE COMMAND`, today" in made
    assert kept.splitlines()[2].startswith("`python -m benchmarks.start_steps build/bench/")
    for page in (made, kept):
        assert "`make bench` builds the bundles of `build/bench`. It does not make this page" in page
    assert "start_steps" not in recipe


def test_each_step_is_told_in_one_sentence() -> None:
    assert [text for text in STEPS.values() if not text.endswith(".") or ". " in text] == []


def bundle(folder: Path, name: str) -> str:
    folder.mkdir()
    model = {"name": name, "engine": "onnx", "precision": "int8"}
    (folder / "manifest.json").write_text(json.dumps({"models": [model]}))
    return str(folder)


def test_bundles_take_turns_and_each_is_asked_for_an_image_a_caption_and_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[tuple[str, list[str]]] = []

    def start(folder: Path, request: Path) -> Start:
        items = json.loads(json.loads(request.read_text())["body"])["input"]
        turns.append((folder.name, [type(item).__name__ for item in items]))
        return starts(0.5)[0]

    monkeypatch.setattr(start_steps, "start", start)
    monkeypatch.setattr("compileall.compile_dir", lambda *_, **__: True)
    places = [bundle(tmp_path / name, name) for name in ("ViT-B-32", "ViT-L-14", "RN50")]
    only = ["--model", "ViT-B-32", "--model", "RN50"]
    assert start_steps.main([*places, "--runs", "2", "--output", str(tmp_path), *only]) == 0

    kinds = [["dict"], ["str"], ["dict", "str"]]
    assert turns == [(name, kind) for name in ("ViT-B-32", "RN50") for kind in kinds] * 2
    assert (tmp_path / "start.md").read_text().count("\n## ") == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{place}/none"], "manifest.json cannot be read"),
        (["{place}/bundle", "--model", "RN50"], "no bundle is of RN50: these are of ViT-B-32"),
        (["{place}/bundle", "--output", "{place}/none"], "is not a directory that can be written"),
    ],
)
def test_a_wrong_argument_is_told_before_anything_starts(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle(tmp_path / "bundle", "ViT-B-32")
    assert start_steps.main([argument.format(place=tmp_path) for argument in arguments]) == 1
    assert told in capsys.readouterr().err
