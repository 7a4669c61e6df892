"""Search over a saved output: two commands from a folder to a page of thumbnails, and no mixing of models."""

import csv
import json
import os
import re
import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest
from openclip_lambda.bulk.tables import EMBEDDINGS
from openclip_lambda.cli import main as cli
from openclip_lambda.search import page

from tests.unit.client.conftest import Recorder, Run, Scripted
from tests.unit.fake_bundle import image_bytes

COLORS = {"red.png": (255, 0, 0), "green.png": (0, 255, 0), "blue <b>&.png": (0, 0, 255), "white.png": (255, 255, 255)}


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of images in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "album").mkdir()
    for name, color in COLORS.items():
        (tmp_path / "album" / name).write_bytes(image_bytes(color))
    return tmp_path / "album"


def lines(output: str) -> list[tuple[float, str]]:
    found = [line.split(maxsplit=1) for line in output.splitlines()]
    return [(float(score), name) for score, name in found]


@pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".json", ".csv", ".parquet"])
def test_a_text_finds_what_is_nearest(run: Run, album: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    assert run("embed", "album", "--output", f"all{suffix}") == 0
    assert run("search", f"all{suffix}", "a", "--top", 2) == 0
    # "a" is [1, 0, 0, 0]; red is [1, 0, 0, 1] / sqrt(2), white [1, 1, 1, 1] / 2
    assert lines(capsys.readouterr().out) == [(0.707, "album/red.png"), (0.5, "album/white.png")]
    assert run("search", f"all{suffix}", "a" * 40, "--top", 2) == 0  # the model's context is of 16 letters
    told = capsys.readouterr()
    assert lines(told.out)[0] == (0.707, "album/red.png")
    assert "note: the text reached the model's context length: tokens beyond it were not read" in told.err


@pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".csv", ".parquet"])
def test_a_file_whose_name_is_not_utf_8_is_shown(run: Run, album: Path, suffix: str) -> None:
    os.rename(album / "red.png", os.fsencode(album) + b"/caf\xe9.png")  # noqa: PTH104 - names are bytes here
    assert run("embed", "album", "--output", f"all{suffix}") == 0
    assert run("search", f"all{suffix}", "a", "--top", 1, "--html", "found.html") == 0
    text = Path("found.html").read_text()
    assert "data:image/png;base64," in text
    assert "caf%E9.png" in text


def test_an_image_finds_itself(run: Run, album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("embed", "album", "--output", "all.npy") == 0
    assert run("search", "all.npy", "--image", "album/green.png", "--top", 1, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["results"] == [{"name": "album/green.png", "score": 1.0}]
    assert told["model"] == "tests/letters"


class Page(HTMLParser):
    """Collects what a page has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_nothing_but_itself(run: Run, album: Path) -> None:
    assert run("embed", "album", "--text", "<script>a</script>", "--output", "all.npy") == 0
    (album / "green.png").unlink()
    assert run("search", "all.npy", "a & <i>", "--html", "found.html") == 0

    text = Path("found.html").read_text()
    page = Page(text)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 3
    assert all(str(image["src"]).startswith("data:image/png;base64,") for image in images)
    assert [tag for tag, _ in page.tags if tag in ("script", "i", "link", "iframe")] == ["i"] * 5  # the bars alone
    links = [str(attributes["href"]) for tag, attributes in page.tags if tag == "a"]
    assert len(links) == 3
    assert all(link.startswith("file:///") for link in links)
    assert "a &amp; &lt;i&gt;" in text
    assert "blue &lt;b&gt;&amp;.png" in text
    assert re.search(r'class="text">album/green\.png<', text)  # the file is gone
    assert "default-src 'none'" in text
    assert run("search", "all.npy", "b", "--html", "found.html") == 0  # its own page is replaced


@pytest.mark.parametrize(
    ("scores", "bars"),
    [((0.5, 0.25, -0.1), ["100.0", "50.0", "0.0"]), ((-0.05, -0.1), ["0.0", "0.0"]), ((0.0,), ["0.0"])],
)
def test_a_bar_is_as_long_as_the_score_beside_the_best_and_none_is_shown_under_0(
    tmp_path: Path, scores: tuple[float, ...], bars: list[str]
) -> None:
    found = [page.Found(f"{score}", score, None) for score in scores]
    page.write(tmp_path / "found.html", "a", None, "", found)
    styles = [attributes["style"] for tag, attributes in Page((tmp_path / "found.html").read_text()).tags if tag == "i"]
    assert styles == [f"width:{bar}%" for bar in bars]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_the_umask_decides_who_may_read_the_page(run: Run, album: Path, umask: int, mode: int) -> None:
    assert run("embed", "album", "--output", "all.npy") == 0
    before = os.umask(umask)
    try:
        assert run("search", "all.npy", "a", "--html", "found.html") == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("found.html").stat().st_mode) == mode
    assert list(Path().glob(".openclip-*")) == []


def test_the_quiet_text_of_the_page_has_the_contrast_that_reading_takes() -> None:
    """WCAG 2.2, 1.4.3, for grays: 4.5, on the white and on the #121212 that browsers put behind a page."""

    def luminance(level: int) -> float:
        return float(((level / 255 + 0.055) / 1.055) ** 2.4)

    levels = [int(digit * 2, 16) for digit in re.findall(r"--quiet: #(\w)\1\1;", page.PAGE.template)]
    for level, ground in zip(levels, (255, 18), strict=True):
        darker, lighter = sorted((luminance(level), luminance(ground)))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_a_page_never_replaces_a_file_of_somebody_else(
    run: Run, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("embed", "album", "--output", "all.npy") == 0
    Path("mine.html").write_text("<!doctype html>mine")
    Recorder.seen.clear()
    for name in ("mine.html", "album/red.png", "all.npy"):
        assert run("search", "all.npy", "a", "--html", name) == 1
        assert "give --html another name" in capsys.readouterr().err
    assert run("search", "all.npy", "a", "--html", "nowhere/x.html") == 1
    assert Recorder.seen == []
    assert Path("mine.html").read_text() == "<!doctype html>mine"


def test_the_model_of_the_rows_is_asked_whatever_the_api_has_first(
    run: Run, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("embed", "album", "--model", "tests/other", "--output", "all.npy") == 0
    assert run("search", "all.npy", "a", "--json") == 0
    assert json.loads(capsys.readouterr().out)["model"] == "tests/other"


@pytest.mark.parametrize(
    ("status", "headers", "answer", "says"),
    [
        (404, {}, {"error": {"message": "no such", "code": "model_not_found"}}, "which this API does not have"),
        (200, {}, {"data": [{"embedding": [1, 0, 0, 0]}], "model": "x"}, "the API answers with x: embed again"),
        (200, {}, {"data": [{"embedding": [1, 0]}], "model": "tests/letters"}, "is of another model"),
        (
            200,
            {"x-openclip-manifest": "0" * 64},
            {"data": [{"embedding": [1, 0, 0, 0]}], "model": "tests/letters"},
            "made by another bundle",
        ),
    ],
)
def test_an_api_of_another_model_is_refused(
    run: Run,
    scripted: Scripted,
    album: Path,
    capsys: pytest.CaptureFixture[str],
    status: int,
    headers: dict[str, str],
    answer: object,
    says: str,
) -> None:
    assert run("embed", "album", "--output", "all.npy") == 0
    scripted.answer = lambda path, body: (status, headers, json.dumps(answer).encode())
    assert cli.main(["search", "all.npy", "a", "--url", scripted.url]) == 1
    output, error = capsys.readouterr()
    assert says in error
    assert output == ""
    if headers:
        assert cli.main(["search", "all.npy", "a", "--url", scripted.url, "--other-bundle"]) == 0


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.txt", b"", "no ending of an output"),
        *(
            (f"nowhere{suffix}", None, r"nowhere\.[a-z]+ cannot be read: No such file or directory: .*check the path$")
            for suffix in EMBEDDINGS
        ),
        ("x.npy", b"no array", "names.json is missing"),
        ("x.jsonl", b"[1]\n", "no output of `embed`"),
        ("x.jsonl", b'{"name": "a", "scores": {"b": 1}}\n', "no output of `embed`"),
        ("x.jsonl", b"", "no vectors in it"),
        ("x.json", b"[" * 100_000, "no output of `embed`"),
        ("x.json", b'[{"name": "a", "embedding": [1]}, {"name": "b", "embedding": [1, 2]}]', "no output of `embed`"),
        ("x.csv", b"name,a\nx,y\n", "no vectors in it"),
        ("x.parquet", b"PAR1", "no output of `embed`"),
        ("x.csv", b"\xff\xfe", "no output of `embed`|no vectors"),
        ("x.csv", b"name,0,1\na,1,2,b,3,4\n", "no output of `embed`"),  # a line break is lost
        ("x.csv", b'name,0,1\n"a,1,2\n' + b"b,3,4\n" * 30_000, "no output of `embed`"),  # a quote is not closed
    ],
)
def test_a_file_that_is_no_output_is_told(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, says: str
) -> None:
    csv.field_size_limit(131_072)  # Python's own, which other libraries raise
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert run("search", tmp_path / name, "a") == 1
    assert re.search(says, capsys.readouterr().err)


def test_an_array_with_other_names_is_told(run: Run, album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("embed", "album", "--output", "all.npy") == 0
    Path("all.names.json").write_text('{"array": "all.npy", "names": ["a"]}')
    assert run("search", "all.npy", "a") == 1
    assert "4 vectors and 1 name:" in capsys.readouterr().err
    Path("all.names.json").write_text("[]")
    assert run("search", "all.npy", "a") == 1
    assert "no output of `embed`" in capsys.readouterr().err
