"""The playground can be read: on a desktop and a phone, by daylight and in the dark, whatever the scores are."""

from pathlib import Path

import pytest

from tests.clients.browser import DESKTOP, PHONE, Browser
from tests.clients.conftest import drawn
from tests.clients.gateway import Gateway

SMALL_BUTTONS = """return [...document.querySelectorAll('button')]
    .filter((one) => one.offsetParent && one.offsetHeight < 24).length"""
# What the API would answer to that many images and captions, with scores from one end of the scale to the other.
EVERY_SHADE = """const [rows, columns] = arguments;
const scores = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => (row * columns + column) / (rows * columns - 1)));
window.fetch = async () => new Response(JSON.stringify(
    { scores, logit_scale: 10, logit_bias: -10, activation: "sigmoid" }));"""
# Otherwise a browser prints no color of a ground, and the white numbers pale.
ON_PAPER = """const shown = [...document.querySelectorAll(arguments[0])];
    return [...new Set(shown.map((one) => getComputedStyle(one).printColorAdjust))];"""
SHADES = "return [...document.querySelectorAll('#heatmap tbody td')].map((cell) => cell.style.background)"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_readable_on_every_screen(browser: Browser, gateway: Gateway, size: tuple[int, int], dark: bool) -> None:
    name = f"{'phone' if size == PHONE else 'desktop'}-{'dark' if dark else 'light'}"
    browser.open(gateway.url, dark, size)
    browser.find("#examples").click()
    browser.wait(lambda: len(browser.all("#heatmap td.best")) == 6, "six captions matched")
    browser.screenshot(f"{name}-heatmap", size)
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == (
        "rgb(16, 16, 24)" if dark else "rgb(246, 246, 251)"
    )
    assert browser.run(SMALL_BUTTONS) == 0
    assert browser.faults() == []
    for tab in ("matches", "zero-shot"):
        browser.find(f"#tab-{tab}").click()
        browser.wait(lambda tab=tab: browser.all(f"#view-{tab} img"), tab)
        browser.screenshot(f"{name}-{tab}", size)
        assert browser.run("return document.documentElement.scrollWidth") <= size[0]
        assert browser.faults() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_number_is_legible_on_every_shade_of_the_heatmap(
    browser: Browser, gateway: Gateway, tmp_path: Path, dark: bool
) -> None:
    (tmp_path / "one.png").write_bytes(drawn("red"))
    browser.open(gateway.url, dark)
    browser.drop("#drop", *[tmp_path / "one.png"] * 20)
    browser.wait(lambda: len(browser.all("#thumbs img")) == 20, "the images")
    browser.find("#captions").send_keys("\n".join("abcdefghij"))
    browser.run(EVERY_SHADE, 20, 10)
    browser.find("#run").click()
    browser.wait(lambda: len(browser.all("#heatmap td.best")) == 10, "the heatmap")

    shades = browser.run(
        "return [...document.querySelectorAll('#heatmap tbody td')].map((one) => one.style.background)"
    )
    assert len(shades) == 200
    assert len(set(shades)) > 120
    assert browser.faults() == []
    browser.find("#tab-matches").click()
    assert browser.run(ON_PAPER, "#heatmap tbody td, .ramp i, .bar, .bar i") == ["exact"]
