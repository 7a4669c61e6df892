"""The client, against the local server with a stand-in engine: what it sends, what it writes, what it says."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from openclip_lambda.bulk import inputs
from openclip_lambda.cli import main as cli
from openclip_lambda.images import Scaling

from tests.unit.client.conftest import Recorder, Run
from tests.unit.fake_bundle import FakeFunction, image_bytes


def test_texts_are_embedded_to_json_lines(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("embed", "--text", "a", "--text", "ab") == 0

    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == ["a", "ab"]
    # The engine counts a, b, c and d; embeddings have unit length.
    np.testing.assert_allclose(
        [row["embedding"] for row in rows], [[1, 0, 0, 0], [0.5**0.5, 0.5**0.5, 0, 0]], atol=1e-7
    )


def test_a_directory_of_images_becomes_an_array_with_names(run: Run, function: FakeFunction, tmp_path: Path) -> None:
    directory = tmp_path / "images"
    (directory / "more").mkdir(parents=True)
    for name, color in (("red.png", (255, 0, 0)), ("more/green.PNG", (0, 255, 0)), ("blue.png", (0, 0, 255))):
        (directory / name).write_bytes(image_bytes(color))
    (directory / "notes.txt").write_text("no image")

    assert run("embed", str(directory), "--batch", "2", "--output", str(tmp_path / "out.npy")) == 0

    # The engine gives the mean of red, green and blue, and 1; sorted by path.
    expected = np.array([[0, 0, 1, 1], [0, 1, 0, 1], [1, 0, 0, 1]], np.float32) / np.sqrt(np.float32(2))
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)
    names = json.loads((tmp_path / "out.names.json").read_text())
    assert names["array"] == "out.npy"
    assert [Path(name).name for name in names["names"]] == ["blue.png", "green.PNG", "red.png"]
    assert [shape[0] for shape in function.loader.engine.image_batches] == [2, 1]
    assert not list(tmp_path.glob(".openclip*"))


def test_texts_that_are_longer_than_the_model_reads_are_told(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "note: {} reached the model's context length: tokens beyond it were not read"
    (tmp_path / "red.png").write_bytes(image_bytes((255, 0, 0)))
    long, short = "a" * 40, "b" * 3  # the model's context is of 16 letters
    assert run("embed", "--text", long, "--text", short, "--text", f"{long}c", "--batch", "1") == 0
    assert told.format("2 texts") in capsys.readouterr().err
    assert run("classify", *[str(tmp_path / "red.png")] * 3, "--batch", "1", "--label", long, "--template", "{}") == 0
    assert told.format("1 text") in capsys.readouterr().err
    assert run("embed", "--text", short) == 0
    assert "note" not in capsys.readouterr().err


def test_labels_are_scored_into_a_table(run: Run, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(image_bytes((255, 0, 0)))

    arguments = ("--label", "a", "--label", "b", "--template", "{}", "--output", str(tmp_path / "scores.csv"))
    assert run("classify", str(tmp_path / "red.png"), *arguments) == 0

    head, row = csv.reader(io.StringIO((tmp_path / "scores.csv").read_text()))
    assert head == ["name", "a", "b"]
    # softmax(10 * [1/sqrt(2), 0]) by hand: the bundle's logit scale is 10
    assert float(row[1]) == pytest.approx(0.999151, abs=1e-5)
    assert float(row[1]) + float(row[2]) == pytest.approx(1)


@pytest.mark.parametrize("label", ["scores", "embedding", "sha256"])
def test_a_label_may_be_called_as_a_field_of_a_row_is(run: Run, tmp_path: Path, label: str) -> None:
    (tmp_path / "red.png").write_bytes(image_bytes((255, 0, 0)))

    labels = ("--label", label, "--label", "b", "--template", "{}", "--output", str(tmp_path / "scores.parquet"))
    assert run("classify", str(tmp_path / "red.png"), *labels) == 0

    [row] = pyarrow.parquet.read_table(tmp_path / "scores.parquet").to_pylist()
    assert list(row) == ["name", label, "b"]
    assert row[label] + row["b"] == pytest.approx(1)


@pytest.mark.parametrize(("suffix", "status"), [(".csv", 1), (".parquet", 1), (".json", 0), (".jsonl", 0)])
def test_a_label_called_name_is_refused_where_it_would_be_a_second_column_of_that_name(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str, status: int
) -> None:
    (tmp_path / "red.png").write_bytes(image_bytes((255, 0, 0)))

    labels = ("--label", "name", "--label", "b", "--output", str(tmp_path / f"scores{suffix}"))
    assert run("classify", str(tmp_path / "red.png"), *labels) == status

    assert ("choose .json or .jsonl" in capsys.readouterr().err) == bool(status)
    assert len(Recorder.lengths) == 1 - status


def test_health_is_printed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("health") == 0

    assert json.loads(capsys.readouterr().out)["status"] == "ok"


def test_the_key_travels_as_a_bearer_token_and_may_come_from_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("health", "--api-key", "secret") == 0
    monkeypatch.setenv("OPENCLIP_API_KEY", "from-the-environment")
    assert run("health") == 0

    assert Recorder.seen == ["Bearer secret", "Bearer from-the-environment"]


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_a_busy_api_is_asked_again(run: Run, status: int) -> None:
    Recorder.refusals[:] = [status, status]

    assert run("embed", "--text", "a") == 0
    assert len(Recorder.seen) == 3


def test_a_refusal_is_reported_with_its_fix_and_not_repeated(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Recorder.refusals[:] = [403]

    assert run("embed", "--text", "a") == 1
    assert "answered 403: Forbidden: the credentials are not those of this API" in capsys.readouterr().err
    assert len(Recorder.seen) == 1


def test_the_apis_own_words_are_reported(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")

    assert run("embed", str(tmp_path / "broken.png"), "--output", str(tmp_path / "out.json")) == 1
    assert "broken.png: the 8 bytes do not start like any of PNG" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["embed"], "nothing to send"),
        (["embed", "nowhere.png"], "nowhere.png: it cannot be read: No such file"),
        (
            ["embed", "--text", "a", "--output", "out.txt"],
            "no ending that is known here: .json, .jsonl, .npy, .csv, .parquet",
        ),
        (
            ["classify", "a.png", "--label", "a", "--output", "out.npy"],
            "no ending that is known here: .json, .jsonl, .csv, .parquet",
        ),
        (["embed", "--text", "a", "--output", "nowhere/out.json"], "there is no"),
        (["embed", "s3://bucket/key"], "s3:// is not enabled here"),
    ],
)
def test_what_cannot_be_done_is_reported_with_the_fix(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert run(*arguments) == 1
    assert says in capsys.readouterr().err


def test_without_an_answer_the_address_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["health", "--url", "http://127.0.0.1:1"]) == 1
    assert "http://127.0.0.1:1/health does not answer" in capsys.readouterr().err


def test_batches_hold_what_a_request_can_carry() -> None:
    texts = [inputs.Source("a" * 1_400_000, text="a" * 1_400_000)] * 3  # two fit in four
    read = map(inputs.Reader(Scaling()), texts)

    found = inputs.batches(read, 16, skip=lambda source, problem: pytest.fail(str(problem)))

    assert [len(batch) for batch in found] == [2, 1]


def test_a_batch_size_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for size in ("5000", "0", "-1", "x", "1e2"):
        with pytest.raises(SystemExit) as caught:
            cli.main(["embed", "--text", "a", f"--batch={size}"])
        assert caught.value.code == 2
        assert capsys.readouterr().err.splitlines()[-1].endswith(f"'{size}' is no number from 1 to 4096")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--url", "https://a.example", "embed", "photos"],
            "<command> --url",
        ),
        (
            ["--label=a cat", "classify", "photos"],
            "classify --label",
        ),
        (
            ["--since", "2026", "batch", "start", "s3://a/"],
            "batch start --since",
        ),
    ],
)
def test_an_option_before_its_command_is_told_where_it_stands(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(words)
    option = told.rpartition(" ")[2]
    assert f"; {option} stands after the command: openclip-lambda {told}\n" in capsys.readouterr().err
