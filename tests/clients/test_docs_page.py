"""The documentation as a page: it can be read, and each operation can be sent from it, to this API alone."""

import json

from tests.clients.browser import DESKTOP, PHONE, Browser
from tests.clients.gateway import KEY, Gateway
from tests.clients.page import api

FORM = "form[data-path='v1/embeddings']"


def answered(browser: Browser, form: str) -> str:
    browser.run("document.querySelector(arguments[0]).scrollIntoView()", form)
    browser.find(f"{form} button").click()
    browser.wait(lambda: "·" in browser.find(f"{form} [role=status]").text, "an answer")
    said: str = browser.find(f"{form} [role=status]").text
    return said


def test_each_example_is_answered_and_shown(browser: Browser, gateway: Gateway) -> None:
    browser.open(f"{gateway.url}/docs")
    assert "POST /v1/embeddings" in browser.find("main").text
    forms = browser.run("return [...document.querySelectorAll('form.try')].map((one) => one.dataset.path)")
    assert {"v1/embeddings", "v1/classify", "v1/similarity", "v1/models", "health"} <= set(forms)
    for path in forms:
        assert answered(browser, f"form[data-path='{path}']").startswith(("200 · ", "204 · ")), path
    shown = json.loads(browser.find(f"{FORM} pre").text)
    body = browser.run("return document.querySelector(arguments[0]).value", f"{FORM} textarea")
    assert shown["data"] == api(gateway, "/v1/embeddings", json.loads(body))["data"]


def test_another_example_can_be_chosen_and_changed(browser: Browser, gateway: Gateway) -> None:
    browser.open(f"{gateway.url}/docs")
    browser.run(
        """const chosen = document.querySelector(arguments[0]);
        chosen.value = "images";
        chosen.dispatchEvent(new Event("change"));""",
        f"{FORM} .examples",
    )
    body = browser.run("return document.querySelector(arguments[0]).value", f"{FORM} textarea")
    assert json.loads(body)["modality"] == "image"
    browser.run("document.querySelector(arguments[0]).value = '{}'", f"{FORM} textarea")
    assert answered(browser, FORM).startswith("400 · ")
    assert "missing" in browser.find(f"{FORM} pre").text
    assert [message for message in browser.console() if "status of 400" not in message] == []


def test_behind_a_key_it_takes_the_key_that_the_playground_keeps(browser: Browser, guarded: Gateway) -> None:
    browser.open(f"{guarded.url}/docs")
    browser.find("#key-forget").click()
    assert answered(browser, FORM).startswith("401 · ")
    assert browser.run("return document.activeElement.id") == "key"
    browser.find("#key").send_keys(KEY)
    browser.find("#key-panel button").click()
    assert answered(browser, FORM).startswith("200 · ")
    assert [message for message in browser.console() if "status of 401" not in message] == []


def test_it_is_readable_on_every_screen(browser: Browser, gateway: Gateway) -> None:
    for name, size, dark in (("docs", DESKTOP, False), ("docs-phone-dark", PHONE, True)):
        browser.open(f"{gateway.url}/docs", dark, size)
        answered(browser, FORM)
        browser.screenshot(name, size)
        assert browser.run("return document.documentElement.scrollWidth") <= size[0]
        assert browser.faults() == []
