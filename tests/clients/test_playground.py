"""The playground in a real browser: drop, type, look; its numbers are the API's, and it talks to nobody else."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

from tests.clients.browser import Browser
from tests.clients.conftest import drawn
from tests.clients.gateway import KEY, Gateway
from tests.clients.page import CAPTIONS, api, compare, encoded, fill

# Words of both languages, what a shell reads, and letters outside of ASCII.
QUOTED = """it's "$HOME" `id` \\n $(id) ${x}"""
AWKWARD = ["true", "null", "constructor", QUOTED, "🟥 עיגול אדום", "line\u2028separator", "JSON"]
TEXTS_OF = "return [...arguments[0].querySelectorAll(arguments[1])].map((one) => one.textContent)"
BEST_COLUMNS = """return [...document.querySelectorAll('#heatmap tbody tr')]
    .map((row) => [...row.querySelectorAll('td')].findIndex((cell) => cell.className === 'best'))"""


def cells(browser: Browser) -> list[list[str]]:
    return [browser.run(TEXTS_OF, row, "td") for row in browser.all("#heatmap tbody tr")]


def test_dropped_images_and_typed_captions_give_the_api_s_own_numbers(
    browser: Browser, gateway: Gateway, files: list[Path]
) -> None:
    browser.open(gateway.url)
    compare(browser, files)

    expected = np.array(api(gateway, "/v1/similarity", {"images": encoded(files), "texts": CAPTIONS})["scores"]).T
    assert cells(browser) == [[f"{score:.3f}" for score in row] for row in expected]
    assert browser.run(BEST_COLUMNS) == expected.argmax(axis=1).tolist()
    assert browser.run(TEXTS_OF, browser.find("#heatmap"), "tbody th") == CAPTIONS
    status = browser.find("#status").text
    assert "container" in status
    assert "request" in status
    assert " ms" in status


def test_matches_are_ranked_and_zero_shot_bars_are_the_api_s(
    browser: Browser, gateway: Gateway, files: list[Path]
) -> None:
    browser.open(gateway.url)
    compare(browser, files)
    browser.find("#tab-matches").click()
    first = browser.find("#matches li .ranked li img").get_attribute("alt")
    assert first == files[0].name

    browser.find("#tab-zero-shot").click()
    browser.wait(lambda: browser.all("#classified figure"), "the bars of the captions")
    browser.find("#labels").clear()
    browser.find("#labels").send_keys("red circle, blue circle, black star", Keys.ENTER)
    names = "return document.querySelector('#classified').textContent"
    browser.wait(lambda: "black star" in browser.run(names), "the bars of these labels, not of the captions")

    labels = ["red circle", "blue circle", "black star"]
    browser.find("#none").click()
    answer = api(gateway, "/v1/classify", {"input": encoded(files), "labels": labels})
    for figure, row in zip(browser.all("#classified figure"), answer["data"], strict=True):
        scores = {one["label"]: one["score"] for one in row["predictions"]}
        shown = [name.text for name in figure.find_elements("css selector", ".name")]
        assert shown == sorted(labels, key=lambda label: -scores[label])
        percent = figure.find_element("css selector", ".number").text
        assert float(percent.strip("%<>")) == pytest.approx(100 * max(scores.values()), abs=0.51)


def test_the_api_s_error_is_shown_with_its_code_and_goes_away(
    browser: Browser, gateway: Gateway, files: list[Path]
) -> None:
    browser.open(gateway.url)
    fill(browser, files)
    browser.run("document.querySelector('#captions').value = 'x'.repeat(10001)")
    browser.find("#run").click()
    browser.wait(lambda: browser.find("#error").is_displayed(), "the error")

    assert browser.find("#error code").text == "text_too_long"
    assert "texts[0]: 10,001 characters: send at most 10,000" in browser.find("#error").text
    [said] = browser.console()  # Chromium itself notes a request that failed
    assert "status of 400" in said
    browser.find("#captions").clear()
    browser.find("#captions").send_keys("a")
    browser.find("#run").click()
    browser.wait(lambda: browser.all("#heatmap td"), "the heatmap")
    assert not browser.find("#error").is_displayed()


def test_what_is_no_image_is_reported_and_left_out(browser: Browser, gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no image")
    browser.open(gateway.url)
    browser.drop("#drop", tmp_path / "notes.png")
    browser.wait(lambda: "notes.png is not an image" in browser.find("#error").text, "what was wrong")
    assert browser.all("#thumbs img") == []


def test_an_image_is_pasted(browser: Browser, gateway: Gateway) -> None:
    browser.open(gateway.url)
    browser.run(
        """const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "image.png", { type: "image/png" }));
        document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));""",
        base64.b64encode(drawn("red")).decode("ascii"),
    )
    browser.wait(lambda: len(browser.all("#thumbs img")) == 1, "the pasted image")


def test_behind_a_key_it_asks_for_it_keeps_it_in_the_tab_and_uses_it(
    browser: Browser, guarded: Gateway, files: list[Path]
) -> None:
    browser.open(guarded.url)
    browser.wait(lambda: "asks for a key" in browser.find("#error").text, "that a key is needed")
    for key, said in (("wrong", "does not take this key"), (KEY, "")):
        browser.find("#key").send_keys(key, Keys.ENTER)
        browser.wait(lambda said=said: said in browser.find("#error").text, said or "no error")
    browser.wait(lambda: "64 dimensions" in browser.find("#facts").text, "the model's facts")
    assert [message for message in browser.console() if "status of 40" not in message] == []
    compare(browser, files)

    assert browser.run("return [{...sessionStorage}, {...localStorage}, document.cookie]") == [
        {"openclip-api-key": KEY},
        {},
        "",
    ]


def test_a_key_that_no_header_carries_is_told_as_a_wrong_key(browser: Browser, guarded: Gateway) -> None:
    browser.open(guarded.url)
    browser.wait(lambda: "asks for a key" in browser.find("#error").text, "that a key is needed")
    browser.find("#key").send_keys("“ключ”", Keys.ENTER)
    browser.wait(lambda: "does not take this key" in browser.find("#error").text, "that this is none")
    browser.open(f"{guarded.url}/docs")
    form = "form[data-path='v1/models']"
    browser.run("document.querySelector(arguments[0]).scrollIntoView()", form)
    browser.find(f"{form} button").click()
    browser.wait(lambda: browser.find(f"{form} [role=status]").text.startswith("401 · "), "that a key is needed")
    assert [message for message in browser.console() if "status of 40" not in message] == []


def test_an_answer_that_breaks_off_is_told_in_the_pages_own_words(
    browser: Browser, gateway: Gateway, files: list[Path]
) -> None:
    browser.open(gateway.url)
    fill(browser, files)
    browser.run(
        """const body = new ReadableStream({ start: (to) => to.error(new TypeError("network error")) });
        window.fetch = async () => new Response(body);"""
    )
    browser.find("#run").click()
    browser.wait(lambda: "cannot be reached from here" in browser.find("#error").text, "that the API is gone")


def test_it_is_used_with_the_keyboard_alone(browser: Browser, gateway: Gateway, files: list[Path]) -> None:
    browser.open(gateway.url)
    browser.drop("#drop", *files)
    browser.wait(lambda: len(browser.all("#thumbs img")) == 2, "the images")
    reached = []
    for _ in range(14):
        browser.press(Keys.TAB)
        reached.append(browser.run("return document.activeElement.id || document.activeElement.ariaLabel"))
    assert {"key-button", "clear", "add", "captions", "run", "examples", "Remove blue.jpg"} <= set(reached), reached

    browser.run("document.querySelector('#captions').focus()")
    browser.press("a photo of a red circle")
    browser.press(Keys.ENTER, control=True)
    browser.wait(lambda: browser.all("#heatmap td.best"), "the heatmap")
    browser.run("document.querySelector('#tab-heatmap').focus()")
    browser.press(Keys.ARROW_RIGHT)
    assert browser.find("#view-matches").is_displayed()
    assert browser.run("return document.activeElement.id") == "tab-matches"


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
@pytest.mark.parametrize("guard", ["gateway", "guarded"])
def test_the_code_that_is_copied_makes_the_same_request(
    browser: Browser, request: pytest.FixtureRequest, files: list[Path], tmp_path: Path, language: str, guard: str
) -> None:
    gateway: Gateway = request.getfixturevalue(guard)
    browser.open(gateway.url)
    if guard == "guarded":
        browser.run("sessionStorage.setItem('openclip-api-key', arguments[0])", KEY)
        browser.open(gateway.url)
        assert [message for message in browser.console() if "status of 401" not in message] == []
    compare(browser, files)
    code = copied(browser, gateway, language)

    assert KEY not in code
    assert "base64,iVBOR" not in code  # files are read, and not repeated
    (tmp_path / "code.mjs").write_text(code, encoding="utf-8")
    command = {"curl": ["bash", "-c", code], "python": [sys.executable, "-c", code], "javascript": ["node", "code.mjs"]}
    done = subprocess.run(
        command[language],
        cwd=tmp_path, capture_output=True, text=True, check=True, env={**os.environ, "OPENCLIP_API_KEY": KEY},
    )  # fmt: skip
    expected = api(request.getfixturevalue("gateway"), "/v1/similarity", {"images": encoded(files), "texts": CAPTIONS})
    np.testing.assert_allclose(json.loads(done.stdout)["scores"], expected["scores"], atol=1e-6)


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
def test_the_code_sends_every_caption_as_it_was_written(
    browser: Browser, gateway: Gateway, files: list[Path], tmp_path: Path, language: str
) -> None:
    browser.open(gateway.url)
    browser.drop("#drop", files[0])
    browser.wait(lambda: browser.all("#thumbs img"), "the thumbnail")
    browser.run("document.querySelector('#captions').value = arguments[0]", "\n".join(AWKWARD))
    browser.find("#run").click()
    browser.wait(lambda: len(browser.all("#heatmap td.best")) == len(AWKWARD), "the heatmap")
    code = copied(browser, gateway, language)
    (tmp_path / "code.mjs").write_text(code, encoding="utf-8")
    command = {"curl": ["bash", "-c", code], "python": [sys.executable, "-c", code], "javascript": ["node", "code.mjs"]}
    done = subprocess.run(command[language], cwd=tmp_path, capture_output=True, text=True, check=False)
    expected = api(gateway, "/v1/similarity", {"images": encoded(files[:1]), "texts": AWKWARD})
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout)["scores"], expected["scores"], atol=1e-6)


def copied(browser: Browser, gateway: Gateway, language: str) -> str:
    permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    browser.command("Browser.grantPermissions", permissions=permissions, origin=gateway.url)
    browser.find("#code-button").click()
    browser.find(f"#code-{language}").click()
    browser.wait(lambda: browser.find("#code-copy").text != "Copied", "that nothing is said of an earlier copy")
    browser.find("#code-copy").click()
    browser.wait(lambda: browser.find("#code-copy").text == "Copied", "that it was copied")
    code: str = browser.run("return navigator.clipboard.readText()")
    return code
