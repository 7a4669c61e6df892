"""A request that the API refuses: the item that it is about is found, at a bounded cost, and the others go through."""

import json
from pathlib import Path
from typing import Any

import pytest
from openclip_lambda.cli import main as cli
from PIL import Image

from handler.settings import Settings
from tests.unit.client.conftest import Recorder, Run, Scripted, result, rows, skipped, texts
from tests.unit.fake_bundle import FakeFunction, encoded


@pytest.mark.parametrize(("good", "bad"), [(63, 1), (62, 2), (0, 64), (32, 32)])
def test_bad_items_are_found_without_sending_everything_for_each_of_them(
    run: Run, tmp_path: Path, good: int, bad: int
) -> None:
    noise = encoded(Image.effect_noise((64, 64), 90).convert("RGB"), "PNG")  # does not shrink
    album = tmp_path / "album"
    album.mkdir()
    for number in range(good + bad):
        is_bad = number % (64 // bad) == 0
        (album / f"{number:02}.png").write_bytes(noise[:-1000] if is_bad else noise)

    assert run("embed", album, "--batch", 64, "--output", tmp_path / "out.json") == (3 if good else 1)

    assert len(rows(tmp_path / "out.json")) == good if good else not (tmp_path / "out.json").exists()
    once = 64 * len(noise) * 4 / 3
    # All that is sent: twice for one bad item; about log2(64) times, where each of them is bad.
    assert sum(Recorder.lengths) < once * (2.1 if bad == 1 else 3.1 if bad == 2 else 8)
    assert len(Recorder.lengths) <= 4 * bad + 2


def test_items_that_are_too_many_for_one_request_are_sent_in_parts(
    run: Run, function: FakeFunction, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    function.service.settings = function.service.settings._replace(max_items=3)
    texts = [part for number in range(10) for part in ("--text", "a" * (number + 1))]

    assert run("embed", *texts, "--batch", 10, "--output", tmp_path / "out.json") == 0
    assert [len(row["name"]) for row in rows(tmp_path / "out.json")] == list(range(1, 11))
    assert len(Recorder.lengths) == 7  # 10, then 5 and 5, each of which is 3 and 2


def test_where_max_items_is_above_256_a_request_carries_more(run: Run, function: FakeFunction, tmp_path: Path) -> None:
    count = 1_000
    names = [part for number in range(count) for part in ("--text", "a" * (number % 9 + 1) + "b" * (number // 9))]
    out = tmp_path / "out.json"
    assert run("embed", *names, "--batch", count, "--output", tmp_path / "default.json") == 0
    assert len(Recorder.lengths) > 4  # 256 at most, so it was refused and sent in parts
    Recorder.lengths.clear()

    function.service.settings = Settings.from_env({"OPENCLIP_MAX_ITEMS": "1000"})
    assert run("embed", *names, "--batch", count, "--output", out) == 0
    assert len(Recorder.lengths) == 1
    assert [row["name"] for row in rows(out)] == names[1::2]
    assert rows(out) == rows(tmp_path / "default.json")


def refusing(scripted: Scripted, refuse: Any) -> None:
    """Answer with vectors, unless `refuse(texts)` returns status, code and param."""

    def answer(path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        refused = refuse([item["text"] for item in json.loads(body)["input"]])
        if not refused:
            answered: tuple[int, dict[str, str], bytes] = result()(path, body)
            return answered
        status, code, param = refused
        error = {"message": "no", "code": code, "param": param}
        return status, {}, json.dumps({"error": error}).encode()

    scripted.answer = answer


@pytest.mark.parametrize(
    ("status", "code", "param"),
    [
        (400, "text_too_complex", "input[7]"),  # of a budget that all items share: the one that was too much
        (413, "object_too_large", "input[7].image"),
        (413, "image_too_large", "input"),
        (413, None, None),  # the gateway
        (400, "text_too_complex", None),
    ],
)
def test_an_item_that_is_too_much_in_company_is_sent_with_less_of_it(
    scripted: Scripted, tmp_path: Path, status: int, code: str | None, param: str | None
) -> None:
    refusing(scripted, lambda sent: (status, code, param) if len(sent) > 7 else None)
    out = tmp_path / "out.json"

    assert cli.main(["embed", *texts(16), "--url", scripted.url, "--output", str(out)]) == 0
    assert [row["name"] for row in rows(out)] == [f"text {number}" for number in range(16)]


def test_an_item_that_breaks_the_function_costs_itself_alone(
    scripted: Scripted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusing(scripted, lambda sent: (500, "internal_error", None) if "text 3" in sent else None)
    out = tmp_path / "out.json"

    assert cli.main(["embed", *texts(16), "--url", scripted.url, "--output", str(out)]) == 3
    assert len(rows(out)) == 15
    assert skipped(capsys) == {"text 3": "no"}


def test_a_function_that_is_broken_ends_the_run(scripted: Scripted, capsys: pytest.CaptureFixture[str]) -> None:
    refusing(scripted, lambda sent: (500, "internal_error", None))
    assert cli.main(["embed", *texts(64), "--url", scripted.url]) == 1
    assert len(skipped(capsys)) == 3
    assert len(scripted.requests) < 50  # five tries each: 16, 8, 4, 2, and three items alone


@pytest.mark.parametrize(
    ("status", "code", "param"),
    [(404, "model_not_found", "model"), (400, "invalid_type", "input[99]"), (400, None, None), (422, "x", "labels[0]")],
)
def test_a_request_that_is_wrong_as_a_whole_is_not_tried_in_parts(
    scripted: Scripted, status: int, code: str | None, param: str | None
) -> None:
    refusing(scripted, lambda sent: (status, code, param))
    assert cli.main(["embed", *texts(16), "--url", scripted.url]) == 1
    assert len(scripted.requests) == 1
