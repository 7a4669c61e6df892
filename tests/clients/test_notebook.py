"""examples/notebook.ipynb, run from top to bottom by Jupyter's own kernel against the function."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image, ImageDraw

from tests.clients.gateway import KEY, Gateway
from tests.patience import SECONDS

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
COLORS = ("red", "green", "blue", "yellow")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A circle of each color and a square: a folder with one below it."""
    folder = tmp_path / "photos"
    for number, color in enumerate(COLORS):
        image = Image.new("RGB", (160, 128), "white")
        ImageDraw.Draw(image).ellipse((40, 24, 120, 104), fill=color)
        (folder / str(number % 2)).mkdir(parents=True, exist_ok=True)
        image.save(folder / str(number % 2) / f"{color}-circle.{'png' if number % 2 else 'jpg'}")
    return folder


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_is_kept_without_what_a_run_left_in_it() -> None:
    notebook = read()
    nbformat.validate(notebook)
    assert [cell["id"] for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_it_finds_images_by_words_from_top_to_bottom(
    guarded: Gateway, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"OPENCLIP_URL": guarded.url, "OPENCLIP_API_KEY": KEY, "PHOTOS": str(photos)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "client" / "src"))
    notebook = read()

    NotebookClient(
        notebook,
        timeout=SECONDS,
        startup_timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()

    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [
        output
        for cell in cells
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr"
    ] == []
    [found] = [cell for cell in cells if cell.source.endswith('find("a red circle")')]
    picture, names = found.outputs
    assert picture["data"]["image/png"].startswith("iVBORw0KGgo")
    assert names["data"]["text/plain"].startswith("['red-circle.jpg', ")
    assert (tmp_path / "photos.npy").stat().st_size > len(COLORS) * 64 * 4
    table = cells[-1].outputs[0].text.splitlines()
    [red] = [line for line in table if line.startswith("red-circle")]
    assert "a red circle" in red
    assert len(table) == len(COLORS)
