"""Images as people have them: many photos at once, turned by their EXIF, cells of a table on the clipboard."""

import base64
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.clients.browser import Browser
from tests.clients.conftest import drawn
from tests.clients.gateway import Gateway
from tests.clients.page import api, compare, encoded

PASTE = """const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], "image.png", { type: "image/png" }));
    for (const [type, data] of Object.entries(arguments[1])) clipboardData.setData(type, data);
    const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
    return document.querySelector("#captions").dispatchEvent(paste);"""
# What the page says of how many images it has, each time that it changes.
COUNTED = """window.counted = [];
    const count = document.querySelector("#image-count");
    new MutationObserver(() => {
        if (window.counted.at(-1) !== count.textContent) window.counted.push(count.textContent);
    }).observe(count, { childList: true });"""
NO_STORAGE = """for (const kind of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(window, kind, { get() { throw new DOMException("denied", "SecurityError"); } });
}"""


def test_as_many_photos_as_the_page_takes_are_one_request(browser: Browser, gateway: Gateway, tmp_path: Path) -> None:
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 256, (768, 1024, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.jpg", quality=80)
    photos = sorted(tmp_path.iterdir())
    assert all(400_000 < photo.stat().st_size < 700_000 for photo in photos)  # each of them is sent as it is
    browser.open(gateway.url)
    browser.run(COUNTED)
    browser.drop("#drop", *photos)
    browser.wait(lambda: len(browser.all("#thumbs img")) == 24, "a thumbnail for each photo")
    assert browser.run("return window.counted") == [str(number) for number in range(1, 25)]  # it takes a while
    browser.find("#captions").send_keys("a red circle")
    browser.find("#run").click()
    browser.wait(lambda: browser.all("#heatmap td.best") or browser.find("#error").is_displayed(), "a response")
    assert browser.find("#error").text == ""
    assert len(browser.all("#heatmap tbody td")) == 24


def test_two_drops_at_once_are_no_more_than_the_page_takes(browser: Browser, gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(drawn("red"))
    browser.open(gateway.url)
    for _ in range(2):
        browser.drop("#drop", *[tmp_path / "red.png"] * 20)
    browser.wait(lambda: "Only the first 24 images" in browser.find("#error").text, "that some were left out")
    browser.wait(lambda: len(browser.all("#thumbs img")) >= 24, "the images")
    assert len(browser.all("#thumbs img")) == 24


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_drawing_of_few_bytes_and_many_pixels_is_scaled_down(
    browser: Browser, gateway: Gateway, tmp_path: Path, suffix: str
) -> None:
    """As a scanned plan, or a page that was saved whole: the API takes 40 million pixels by default."""
    plan = tmp_path / f"plan.{suffix}"
    image = Image.new("P", (8_000, 6_000), 0)
    image.putpalette([255, 255, 255, 255, 0, 0])
    ImageDraw.Draw(image).ellipse((2_000, 1_000, 6_000, 5_000), fill=1)
    image.save(plan)
    assert plan.stat().st_size < 300_000

    browser.open(gateway.url)
    browser.drop("#drop", plan)
    browser.wait(lambda: browser.all("#thumbs img"), "the thumbnail")
    browser.find("#captions").send_keys("a red circle")
    browser.find("#run").click()
    browser.wait(lambda: browser.all("#heatmap td.best") or browser.find("#error").is_displayed(), "a response")
    assert browser.find("#error").text == ""


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_an_image_that_exif_turns_is_embedded_as_it_is_shown(
    browser: Browser, gateway: Gateway, tmp_path: Path, suffix: str
) -> None:
    turned = tmp_path / f"turned.{suffix}"
    image = Image.new("RGB", (128, 64), "white")
    image.paste("red", (0, 0, 64, 64))
    exif = Image.Exif()
    exif[0x0112] = 6  # a phone held upright
    image.save(turned, exif=exif)
    asked = {"images": encoded([turned]), "texts": ["a photo of a red square"]}
    as_stored, upright = (
        api(gateway, "/v1/similarity", {**asked, "exif_orientation": value})["scores"][0][0] for value in (False, True)
    )
    assert abs(as_stored - upright) > 0.002

    browser.open(gateway.url)
    browser.drop("#drop", turned)
    browser.wait(lambda: browser.all("#thumbs img"), "the thumbnail")
    assert browser.run(
        "const { naturalWidth: w, naturalHeight: h } = document.querySelector('#thumbs img'); return w < h"
    )
    browser.find("#captions").send_keys("a photo of a red square")
    browser.find("#run").click()
    browser.wait(lambda: browser.all("#heatmap td.best"), "the heatmap")
    assert float(browser.find("#heatmap td.best").text) == pytest.approx(upright, abs=0.0006)


@pytest.mark.parametrize(("count", "side"), [(1, 768), (24, 384)], ids=["one large file", "many files"])
def test_what_is_transparent_is_embedded_alike_in_files_of_any_size(
    browser: Browser, gateway: Gateway, tmp_path: Path, count: int, side: int
) -> None:
    """The page scales large files down, and JPEG has no transparency: a black drawing on black is no drawing."""
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).ellipse((0.25 * side, 0.25 * side, 0.75 * side, 0.75 * side), fill=255)
    drawing = Image.new("RGB", mask.size)
    drawing.putalpha(mask)
    drawing.save(tmp_path / "0.png")
    asked = {"images": encoded([tmp_path / "0.png"]), "texts": ["a photo of a black circle"]}
    expected = api(gateway, "/v1/similarity", asked)["scores"][0][0]
    noise = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)  # hidden: it makes the file large
    hidden = Image.composite(drawing.convert("RGB"), Image.fromarray(noise), mask)
    hidden.putalpha(mask)
    hidden.save(tmp_path / "0.png")
    size = (tmp_path / "0.png").stat().st_size
    assert size > 700_000 or count * size * 4 / 3 > 5_600_000

    browser.open(gateway.url)
    browser.drop("#drop", *[tmp_path / "0.png"] * count)
    browser.wait(lambda: len(browser.all("#thumbs img")) == count, "the thumbnails")
    browser.find("#captions").send_keys("a photo of a black circle")
    browser.find("#run").click()
    browser.wait(lambda: browser.all("#heatmap td.best"), "the heatmap")
    scores = [float(cell.text) for cell in browser.all("#heatmap tbody td")]
    assert scores == pytest.approx([expected] * count, abs=0.02)


def test_cells_that_are_pasted_into_the_captions_are_text_and_no_image(browser: Browser, gateway: Gateway) -> None:
    red = base64.b64encode(drawn("red")).decode("ascii")
    browser.open(gateway.url)
    inserted = browser.run(PASTE, red, {"text/plain": "a cat\ta dog", "text/html": "<table></table>"})
    assert inserted  # by the browser: nobody prevented it
    # A file that was copied in a folder comes with its name as text, which is no caption.
    assert not browser.run(PASTE, red, {"text/plain": "image.png"})
    browser.wait(lambda: browser.all("#thumbs img"), "the file")
    assert len(browser.all("#thumbs img")) == 1


def test_it_works_where_the_browser_lets_no_site_keep_data(
    browser: Browser, gateway: Gateway, files: list[Path]
) -> None:
    with browser.before_each_page(NO_STORAGE):
        browser.open(gateway.url)
        compare(browser, files)
        browser.find("#language").click()
        assert browser.find("#run").text.startswith("比较")
        browser.open(f"{gateway.url}/docs")
        browser.wait(lambda: browser.find("#key-panel").is_displayed(), "the page's script at work")
    browser.open(gateway.url)
