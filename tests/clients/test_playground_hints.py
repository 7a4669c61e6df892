"""The playground says what is missing, what was cut and what cannot be read, and shows its results on a phone."""

from pathlib import Path

import pytest

from tests.clients.browser import PHONE, Browser
from tests.clients.gateway import KEY, Gateway
from tests.clients.page import api, compare, encoded

# What the API of a model with softmax would answer: the last label wins.
SOFTMAX = """window.fetch = async (url, { body }) => {
    window.asked = JSON.parse(body);
    const labels = window.asked.labels ?? [];
    const predictions = labels.map((label, place) => ({ label, score: (place + 1) / (labels.length + 1) }));
    const more = { scores: [[0.2]], logit_scale: 100, logit_bias: null, activation: "softmax" };
    return new Response(JSON.stringify({ data: [{ predictions }], ...more }));
};"""
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
    browser.wait(lambda: len(browser.all("#thumbs img")) == len(files), "a thumbnail for each image")
    browser.find("#captions").send_keys("a red circle\n" + "red " * 300)
    browser.find("#run").click()
    browser.wait(lambda: browser.find("#notice").is_displayed(), "that a caption was cut")
    said = "These captions fill the model's 32 tokens, the rest of them was not read: {}."
    assert browser.find("#notice").text == said.format(2)

    long = "b" * 300  # one word of many tokens: only the API's own count tells
    assert api(gateway, "/v1/similarity", {"images": encoded(files), "texts": [long]})["usage"]["prompt_tokens"] == 32
    captions = [long, "a blue star", "这是一个红色的圆形" * 40]
    browser.run("document.querySelector('#captions').value = arguments[0]", "\n".join(captions))
    browser.find("#run").click()
    browser.wait(lambda: browser.find("#notice").text == said.format("1, 3"), "that these were cut")

    browser.find("#tab-zero-shot").click()
    browser.wait(lambda: browser.all("#classified figure"), "the bars of the captions")
    browser.find("#labels").clear()
    browser.find("#labels").send_keys(f"red circle, {long}")
    browser.find("#zero-shot-form button").click()
    said_of_labels = "These labels fill the model's 32 tokens, the rest of them was not read: 2."
    browser.wait(lambda: browser.find("#notice").text == said_of_labels, "that a label was cut")
    browser.find("#tab-heatmap").click()
    browser.run("document.querySelector('#captions').value = 'a red circle'")
    browser.find("#run").click()
    browser.wait(lambda: not browser.find("#notice").is_displayed(), "no notice")


def test_a_label_that_is_next_to_impossible_is_no_winner(browser: Browser, gateway: Gateway, files: list[Path]) -> None:
    browser.open(gateway.url)
    compare(browser, files)
    browser.run(
        """const predictions = [{ label: "a", score: 0.00001 }, { label: "b", score: 0.000001 }];
        const data = [{ predictions }, { predictions }];
        window.fetch = async () => new Response(JSON.stringify({ data, activation: "sigmoid" }));"""
    )
    browser.run("document.querySelector('#none').checked = false")
    browser.find("#tab-zero-shot").click()
    browser.wait(lambda: browser.all(".unlikely .shot"), "the labels")
    weight = "return getComputedStyle(document.querySelector('.shot .name')).fontWeight"
    assert browser.run(weight) == "400"


def test_none_of_these_wins_where_no_label_fits(browser: Browser, gateway: Gateway, files: list[Path]) -> None:
    browser.open(gateway.url)
    compare(browser, files[:1])
    browser.find("#tab-zero-shot").click()
    browser.wait(lambda: browser.all("#classified figure"), "the bars")
    browser.find("#labels").clear()
    browser.find("#labels").send_keys("blue star, green moon")
    browser.find("#zero-shot-form button").click()
    first = "return document.querySelector('#classified .name').textContent"
    browser.wait(lambda: browser.run(first) == "none of these", "that none fits")
    labels = ["blue star", "green moon"]
    answer = api(gateway, "/v1/classify", {"input": encoded(files[:1]), "labels": labels})
    assert answer["activation"] == "sigmoid"
    [one, other] = [row["score"] for row in answer["data"][0]["predictions"]]
    percent = browser.find("#classified .number").text
    assert float(percent.strip("%<>")) == pytest.approx(100 * (1 - one) * (1 - other), abs=0.51)
    assert "not one of the labels fits" in browser.find("#none-about").text
    browser.find("#none").click()
    browser.wait(lambda: browser.run(first) != "none of these", "that it can be left out")


def test_under_softmax_none_of_these_is_one_more_label(browser: Browser, gateway: Gateway, files: list[Path]) -> None:
    browser.open(gateway.url)
    browser.drop("#drop", files[0])
    browser.wait(lambda: len(browser.all("#thumbs img")) == 1, "the image")
    browser.find("#captions").send_keys("a cat")
    browser.run(SOFTMAX)
    browser.find("#run").click()
    browser.wait(lambda: browser.all("#heatmap td"), "the heatmap")
    browser.find("#tab-zero-shot").click()
    browser.wait(lambda: browser.all("#classified figure"), "the bars")
    assert browser.run("return window.asked.labels") == ["a cat", "something else"]
    names = "return [...document.querySelectorAll('#classified .name')].map((one) => one.textContent)"
    assert browser.run(names) == ["none of these", "a cat"]
    assert "a rough guess" in browser.find("#none-about").text


def test_it_says_what_the_demo_model_knows(browser: Browser, gateway: Gateway) -> None:
    browser.open(gateway.url)
    browser.wait(lambda: "knows drawn shapes only" in browser.find("#knows").text, "what the model knows")


def test_it_speaks_the_browsers_language_and_the_one_that_is_chosen(
    browser: Browser, gateway: Gateway, files: list[Path]
) -> None:
    languages = "Object.defineProperty(navigator, 'languages', { get: () => ['zh-CN', 'en'] })"
    with browser.before_each_page(languages):
        browser.open(gateway.url)
        assert browser.find("#run").text.startswith("比较")
        assert browser.run("return document.documentElement.lang") == "zh-CN"
        compare(browser, files)
        browser.find("#language").click()
        assert browser.find("#run").text.startswith("Compare")
        assert "best image for a caption" in browser.find("#legend").text
        assert browser.run("return document.documentElement.lang") == "en"
        browser.open(gateway.url)
        assert browser.find("#run").text.startswith("Compare")
    browser.run("localStorage.clear()")


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


def test_what_it_says_beside_its_results_follows_the_language_too(browser: Browser, guarded: Gateway) -> None:
    browser.open(guarded.url)
    browser.wait(lambda: "asks for a key" in browser.find("#error").text, "that a key is needed")
    assert browser.find("#facts").text == ""
    browser.find("#language").click()
    assert browser.find("#error").text == "此 API 需要密钥。请在上方输入。"
    assert browser.find("#facts").text == ""  # nothing is asked any more
    browser.find("#run").click()
    assert browser.find("#error").text == "请先添加图片和文字描述，或试试画好的形状。"
    browser.run("document.querySelector('#key').value = arguments[0]", KEY)
    browser.find("#key-panel button").click()
    browser.wait(lambda: "64 维" in browser.find("#facts").text, "the model's facts")
    browser.find("#examples").click()
    browser.wait(lambda: len(browser.all("#heatmap td.best")) == 6, "six captions matched")
    assert browser.find("#heatmap td.best").get_attribute("title").startswith("余弦相似度 ")
    browser.run("document.querySelector('#captions').value = 'red '.repeat(300)")
    browser.find("#run").click()
    browser.wait(lambda: browser.find("#notice").is_displayed(), "that a caption was cut")
    browser.find("#language").click()
    assert browser.find("#notice").text.startswith("These captions fill the model's 32 tokens")
    assert [message for message in browser.console() if "status of 401" not in message] == []


def test_without_scripts_it_says_so(browser: Browser, gateway: Gateway) -> None:
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(gateway.url)
        told = browser.find("noscript").text
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)
    assert "needs JavaScript" in told
    assert "需要 JavaScript" in told
