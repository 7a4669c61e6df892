"""Two things at once in the playground: what was asked last is what is shown, and nothing of it is lost."""

from pathlib import Path

from selenium.webdriver.common.keys import Keys

from tests.clients.browser import Browser
from tests.clients.gateway import Gateway
from tests.clients.page import compare

# Responses of one route wait until the test lets them go.
HELD = """const ask = window.fetch;
    window.held = [];
    window.fetch = async (url, options) => {
        if (String(url).endsWith(arguments[0])) await new Promise((go) => window.held.push(go));
        return ask(url, options);
    };"""
RELEASE = "window.held.splice(0).forEach((go) => go())"
THROTTLED = """const ask = window.fetch;
    window.fetch = async (url, options) => String(url).endsWith(arguments[0])
        ? new Response('{"message": "Too Many Requests"}', { status: 429 }) : ask(url, options);"""
# Two models, of which the second has softmax: there the last label wins.
TWO_MODELS = """window.fetch = async (url, options) => {
    const facts = { embed_dim: 4, context_length: 77, image_size: [32, 32], image_formats: [] };
    const models = ["one", "two"].map((id) => ({ id, ...facts }));
    if (!options.body) return new Response(JSON.stringify({ data: models }));
    const { model, labels = [], texts = [] } = JSON.parse(options.body);
    window.asked = [...(window.asked ?? []), labels];
    const predictions = labels.map((label, place) => ({ label, score: (place + 1) / (labels.length + 1) }));
    const more = { scores: [texts.map(() => 0.2)], activation: model === "two" ? "softmax" : "sigmoid" };
    return new Response(JSON.stringify({ model, data: [{ predictions }], logit_scale: 9, ...more }));
};"""
FOCUSED = "return document.activeElement.ariaLabel || document.activeElement.id"
NAMES = "return [...document.querySelectorAll('#classified .name')].map((one) => one.textContent)"


def zero_shot(browser: Browser, gateway: Gateway, files: list[Path]) -> None:
    browser.open(gateway.url)
    compare(browser, files)
    browser.find("#tab-zero-shot").click()
    browser.wait(lambda: len(browser.all("#classified figure")) == len(files), "the bars")


def test_an_error_of_comparing_stays_where_zero_shot_is_open(
    browser: Browser, gateway: Gateway, files: list[Path]
) -> None:
    zero_shot(browser, gateway, files)
    browser.run(THROTTLED, "v1/similarity")
    browser.find("#run").click()
    browser.wait(lambda: browser.find("#run").is_enabled(), "the end of it")
    browser.wait(lambda: browser.find("#zero-shot-form button").is_enabled(), "the end of all of it")
    assert "Too many requests" in browser.find("#error").text


def test_an_image_that_goes_while_it_is_classified_is_not_counted_as_classified(
    browser: Browser, gateway: Gateway, files: list[Path]
) -> None:
    browser.open(gateway.url)
    compare(browser, files)
    browser.run(HELD, "v1/classify")
    browser.find("#tab-zero-shot").click()
    browser.wait(lambda: browser.run("return window.held.length") == 1, "the request")
    browser.find("#language").click()
    assert browser.find("#status").text == "请求中……"  # and not what the request before took
    browser.find("#language").click()
    browser.find("#thumbs button").click()
    browser.run(RELEASE)
    browser.wait(lambda: len(browser.all("#classified figure")) == 2, "what was asked")
    browser.find("#tab-heatmap").click()
    browser.find("#tab-zero-shot").click()
    browser.wait(lambda: browser.run("return window.held.length") == 1, "that the image that is left is classified")
    browser.run(RELEASE)
    browser.wait(lambda: len(browser.all("#classified figure")) == 1, "the image that is left")


def test_another_models_activation_decides_what_stands_for_none_of_these(
    browser: Browser, gateway: Gateway, files: list[Path]
) -> None:
    with browser.before_each_page(TWO_MODELS):
        browser.open(gateway.url)
    compare(browser, files[:1])
    browser.find("#tab-zero-shot").click()
    browser.wait(lambda: browser.all("#classified figure"), "the bars")
    browser.run(
        """document.querySelector('#labels').value = 'a cat';
        document.querySelector('#model').value = 'two';
        document.querySelector('#model').dispatchEvent(new Event('change'));"""
    )
    browser.find("#zero-shot-form button").click()
    browser.wait(lambda: browser.run(NAMES) == ["none of these", "a cat"], "that none fits")
    assert browser.run("return window.asked.at(-1)") == ["a cat", "something else"]
    browser.find("#language").click()
    assert browser.run(NAMES) == ["都不是", "a cat"]

    browser.run(
        """document.querySelector('#model').value = 'one';
        document.querySelector('#model').dispatchEvent(new Event('change'));"""
    )
    browser.find("#zero-shot-form button").click()
    browser.wait(lambda: browser.run("return window.asked.at(-1)") == ["a cat"], "the labels alone")


def test_the_focus_stays_with_what_was_pressed(browser: Browser, gateway: Gateway, files: list[Path]) -> None:
    browser.open(gateway.url)
    compare(browser, files)
    browser.run(HELD, "v1/similarity")
    browser.run("document.querySelector('#run').focus()")
    browser.press(Keys.ENTER)
    browser.wait(lambda: browser.run("return window.held.length") == 1, "the request")
    browser.run(RELEASE)
    browser.wait(lambda: browser.find("#run").is_enabled(), "the response")
    browser.wait(lambda: browser.run(FOCUSED) == "run", "the focus where it was")
    browser.run("document.querySelector('#thumbs button').focus()")
    browser.press(Keys.ENTER)
    assert browser.run(FOCUSED) == "Remove blue.jpg"
    browser.press(Keys.ENTER)
    assert browser.run(FOCUSED) == "add"


def test_a_response_does_not_take_the_focus(browser: Browser, gateway: Gateway, files: list[Path]) -> None:
    browser.open(gateway.url)
    compare(browser, files)
    browser.run(HELD, "v1/similarity")
    browser.run("document.querySelector('#run').focus()")
    browser.press(Keys.ENTER)
    browser.wait(lambda: browser.run("return window.held.length") == 1, "the request")
    browser.run("document.querySelectorAll('#thumbs button')[1].focus()")
    browser.run(RELEASE)
    browser.wait(lambda: browser.find("#run").is_enabled(), "the response")
    assert browser.run(FOCUSED) == "Remove blue.jpg"


def test_labels_that_nobody_typed_go_with_the_captions(browser: Browser, gateway: Gateway) -> None:
    labels = "return document.querySelector('#labels').value"
    browser.open(gateway.url)
    browser.find("#examples").click()
    browser.wait(lambda: len(browser.all("#heatmap td.best")) == 6, "six captions matched")
    browser.find("#tab-zero-shot").click()
    browser.wait(lambda: len(browser.all("#classified figure")) == 6, "the bars")
    for captions in ("a cat\na dog", "a bird"):
        browser.find("#captions").clear()
        browser.find("#captions").send_keys(captions)
        browser.find("#run").click()
        expected = captions.replace("\n", ", ")
        browser.wait(lambda expected=expected: browser.run(labels) == expected, "these labels")
        names = {*captions.split("\n"), "none of these"}
        browser.wait(lambda names=names: set(browser.run(NAMES)) == names, "the bars of these labels")
        assert not browser.find("#error").is_displayed()
    browser.find("#labels").send_keys(", a fish")
    browser.find("#captions").send_keys("s")
    assert browser.run(labels) == "a bird, a fish"  # these were typed


def test_a_control_that_goes_leaves_the_focus_beside_it(browser: Browser, gateway: Gateway, files: list[Path]) -> None:
    focused = "return document.activeElement.id"
    browser.open(gateway.url)
    browser.drop("#drop", *files)
    browser.wait(lambda: len(browser.all("#thumbs img")) == 2, "the images")
    browser.run("document.querySelector('#clear').focus()")
    browser.press(Keys.ENTER)
    assert browser.run(focused) == "add"
    for control in ("#key-panel [type=submit]", "#key-forget"):
        browser.run("document.querySelector('#key-button').click()")
        browser.run("document.querySelector(arguments[0]).focus()", control)
        browser.press(Keys.ENTER)
        assert not browser.find("#key-panel").is_displayed()
        assert browser.run(focused) == "key-button"
