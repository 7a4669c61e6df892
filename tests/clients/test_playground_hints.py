"""The playground says what is missing, what was cut and what cannot be read, and shows its results on a phone."""

from pathlib import Path

from tests.clients.browser import PHONE, Browser
from tests.clients.gateway import Gateway
from tests.clients.page import api, compare, encoded

TOUCH = [{"name": "hover", "value": "none"}, {"name": "pointer", "value": "coarse"}]


def test_a_heic_file_that_the_browser_cannot_read_comes_with_what_to_do(
    browser: Browser, gateway: Gateway, tmp_path: Path
) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    browser.open(gateway.url)
    browser.drop("#drop", tmp_path / "IMG_1.HEIC")
    browser.wait(lambda: "IMG_1.HEIC is HEIC" in browser.find("#error").text, "that it is HEIC")
    assert "convert it to JPEG" in browser.find("#error").text


def test_zero_shot_without_images_or_labels_says_what_is_missing(
    browser: Browser, gateway: Gateway, files: list[Path]
) -> None:
    browser.open(gateway.url)
    compare(browser, files)
    browser.find("#clear").click()
    browser.find("#tab-zero-shot").click()
    browser.wait(lambda: "Add an image first" in browser.find("#error").text, "what is missing")
    assert browser.all("#error code") == []
    browser.drop("#drop", files[0])
    browser.wait(lambda: len(browser.all("#thumbs img")) == 1, "the image")
    browser.find("#labels").clear()
    browser.find("#zero-shot-form button").click()
    browser.wait(lambda: "Write labels first" in browser.find("#error").text, "what is missing")
    assert browser.all("#classified figure") == []


def test_a_caption_that_fills_the_models_tokens_is_reported(
    browser: Browser, gateway: Gateway, files: list[Path]
) -> None:
    browser.open(gateway.url)
    browser.drop("#drop", *files)
    browser.find("#captions").send_keys("a red circle\n" + "red " * 300)
    browser.find("#run").click()
    browser.wait(lambda: browser.find("#notice").is_displayed(), "that a caption was cut")
    assert browser.find("#notice").text == "Caption 2 fills the model's 32 tokens: the rest was not read."

    long = "b" * 300  # one word of many tokens: only the API's own count tells
    assert api(gateway, "/v1/similarity", {"images": encoded(files), "texts": [long]})["usage"]["prompt_tokens"] == 32
    browser.run("document.querySelector('#captions').value = arguments[0]", long)
    browser.find("#run").click()
    browser.wait(lambda: "The caption fills" in browser.find("#notice").text, "that it was cut")
    browser.run("document.querySelector('#captions').value = 'a red circle'")
    browser.find("#run").click()
    browser.wait(lambda: not browser.find("#notice").is_displayed(), "no notice")


def test_a_label_that_is_next_to_impossible_is_no_winner(browser: Browser, gateway: Gateway, files: list[Path]) -> None:
    browser.open(gateway.url)
    compare(browser, files)
    browser.run(
        """const predictions = [{ label: "a", score: 0.00001 }, { label: "b", score: 0.000001 }];
        window.fetch = async () => new Response(JSON.stringify({ data: [{ predictions }, { predictions }] }));"""
    )
    browser.find("#tab-zero-shot").click()
    browser.wait(lambda: browser.all(".unlikely .shot"), "the labels")
    weight = "return getComputedStyle(document.querySelector('.shot .name')).fontWeight"
    assert browser.run(weight) == "400"


def test_on_a_phone_the_results_come_into_view(browser: Browser, gateway: Gateway) -> None:
    browser.open(gateway.url, size=PHONE)
    browser.command("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        browser.command("Emulation.setEmulatedMedia", features=TOUCH)
        assert "Drop" not in browser.find("#add").text
        assert "Choose images" in browser.find("#add").text
        browser.find("#examples").click()
        browser.wait(lambda: len(browser.all("#heatmap td.best")) == 6, "six captions matched")
        top = "return document.querySelector('#results').getBoundingClientRect().top"
        browser.wait(lambda: 0 <= browser.run(top) < PHONE[1] / 2, "the results in view")
    finally:
        browser.command("Emulation.setTouchEmulationEnabled", enabled=False)
    browser.open(gateway.url)
    assert "Drop images here" in browser.find("#add").text
