"""The playground's search tab over a real index in LanceDB: words, images and hits find what the API's vectors say."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from tests.clients.browser import DESKTOP, PHONE, Browser
from tests.clients.conftest import data_uri
from tests.clients.gateway import KEY, Gateway
from tests.clients.indexed import NAMES, SCORES, Indexed, opened, server, shows
from tests.clients.test_playground import copied
from tests.clients.test_playground_hints import TOUCH

SEEN = "return [...document.querySelectorAll('#hits img')].filter((one) => one.naturalWidth === 96).length"


def test_words_find_images_in_the_order_of_their_cosines(tab: Browser, indexed: Indexed) -> None:
    assert tab.find("#search-rows").text == "64 images in the index"
    for words in ("a red circle", "一个蓝色的星星"):
        tab.find("#search-text").clear()
        tab.find("#search-text").send_keys(words, Keys.ENTER)
        shows(tab, indexed.nearest(indexed.embed(words))[:24])
    assert tab.run(NAMES)[0] == "blue/star 图.png"
    tab.run("document.querySelectorAll('#hits img').forEach((one) => { one.loading = 'eager'; })")
    tab.wait(lambda: tab.run(SEEN) == 24, "a picture for each hit")
    tab.find("#search-more").click()
    shows(tab, indexed.nearest(indexed.embed("一个蓝色的星星"))[:48])
    assert tab.find("#found-about").text == "48 of 64 images, the nearest first"


def test_an_image_is_dropped_and_words_are_added_and_taken_away(tab: Browser, indexed: Indexed, tmp_path: Path) -> None:
    dropped = indexed.folder / "green" / "moon 图.png"
    tab.drop("#search-form", dropped)
    image = indexed.vectors["green/moon 图.png"]
    shows(tab, indexed.nearest(image)[:24])
    assert tab.run(SCORES)[0] == "1.000"
    assert [one.get_attribute("alt") for one in tab.all("#search-thumbs img")] == ["moon 图.png"]

    tab.find("#search-text").send_keys("a purple star")
    tab.find("#search-minus").send_keys("a moon")
    tab.find("#search-prefix").send_keys("purple/", Keys.ENTER)
    total = image + indexed.embed("a purple star") - 0.5 * indexed.embed("a moon")
    shows(tab, indexed.nearest(total / np.linalg.norm(total), "purple/"))
    assert not tab.find("#search-more").is_displayed()

    for place, language in enumerate(("curl", "python", "javascript")):
        if place:
            tab.find("#code-button").click()  # closes it: `copied` opens it
        code = copied(tab, Gateway(int(indexed.url.rpartition(":")[2])), language)
        (tmp_path / "code.mjs").write_text(code, encoding="utf-8")
        command = {"curl": ["bash", "-c", code], "python": [sys.executable, "-c", code]}
        done = subprocess.run(
            command.get(language, ["node", tmp_path / "code.mjs"]),
            cwd=dropped.parent, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert [hit["key"] for hit in json.loads(done.stdout)["data"]] == tab.run(NAMES)

    tab.find("#search-prefix").send_keys("no such", Keys.ENTER)
    tab.wait(lambda: tab.find("#found-about").text == "No image's name begins with purple/no such.", "that none does")
    tab.resize(*PHONE)
    tab.run("document.querySelector('#search-prefix').value = 'x'.repeat(200)")
    tab.find("#search-run").click()
    tab.wait(lambda: "xxx" in tab.find("#found-about").text, "that none does")
    assert tab.run("return document.documentElement.scrollWidth") <= PHONE[0]


def test_a_large_photo_that_exif_turns_is_searched_by_as_the_index_has_it(
    tab: Browser, indexed: Indexed, tmp_path: Path
) -> None:
    image = Image.open(indexed.folder / "red" / "heart 图.png").convert("RGB").resize((1536, 1536))
    noise = np.random.default_rng(1).integers(-25, 25, (1536, 1536, 3))
    image = Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 3  # a phone held upside down
    image.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    stored = (tmp_path / "photo.jpg").read_bytes()
    assert len(stored) > 700_000
    image.transpose(Image.Transpose.ROTATE_180).save(tmp_path / "upright.jpg", quality=95)
    as_stored, upright = (
        indexed.embed({"image": data_uri(one)}) for one in (stored, (tmp_path / "upright.jpg").read_bytes())
    )
    expected = dict(indexed.nearest(as_stored))
    assert max(abs(score - expected[key]) for key, score in indexed.nearest(upright)) > 0.1

    tab.drop("#search-form", tmp_path / "photo.jpg")
    tab.wait(lambda: len(tab.all("#hits .like")) == 24, "hits")
    found = dict(zip(tab.run(NAMES), map(float, tab.run(SCORES)), strict=True))
    assert found == pytest.approx({key: expected[key] for key in found}, abs=0.03)  # it was scaled down


def test_with_the_keyboard_alone_images_like_a_hit_are_found(tab: Browser, indexed: Indexed) -> None:
    tab.run("document.querySelector('#mode-compare').focus()")
    tab.press(Keys.ARROW_LEFT)
    assert tab.run("return document.activeElement.id") == "mode-search"
    reached = []
    for _ in range(9):
        tab.press(Keys.TAB)
        reached.append(tab.run("return document.activeElement.id"))
        if reached[-1] == "search-text":
            break
    tab.press("a black heart", Keys.ENTER)
    tab.wait(lambda: len(tab.all("#hits .like")) == 24, "hits")
    tab.run("document.querySelector('#hits .like').focus()")
    tab.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.ARROW_LEFT, Keys.ARROW_RIGHT)
    second = tab.run(NAMES)[1]
    name = second.rpartition("/")[2]
    assert tab.run("return document.activeElement.ariaLabel") == f"more like this: {name}"
    tab.press(Keys.ENTER)
    shows(tab, indexed.nearest(indexed.vectors[second])[:24])
    assert tab.run("return document.querySelector('#search-text').value") == ""
    tab.find("#search-thumbs button").click()
    assert tab.all("#search-thumbs img") == []


def test_what_is_missing_or_was_cut_is_said(tab: Browser) -> None:
    tab.find("#search-run").click()
    tab.wait(lambda: "Write what to find" in tab.find("#error").text, "what is missing")
    tab.find("#search-minus").send_keys("a circle", Keys.ENTER)  # alone it says what not to find
    tab.wait(lambda: "Write what to find" in tab.find("#error").text, "what is missing")
    tab.run("document.querySelector('#search-text').value = '这是一个红色的圆形'.repeat(40)")
    tab.find("#search-run").click()
    tab.wait(lambda: tab.find("#notice").is_displayed(), "that it was cut")
    assert tab.find("#notice").text == "The words fill the model's 32 tokens: the rest was not read."
    assert not tab.find("#error").is_displayed()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_readable_on_every_screen(tab: Browser, indexed: Indexed, size: tuple[int, int], dark: bool) -> None:
    opened(tab, indexed.url, dark, size)
    assert "64 dimensions" in tab.find("#facts").text
    tab.find("#search-text").send_keys("a yellow moon")
    tab.drop("#search-form", indexed.folder / "yellow" / "star 图.png")
    tab.wait(lambda: len(tab.all("#hits .like")) == 24, "hits")
    if size == PHONE:
        top = "return document.querySelector('#found').getBoundingClientRect().top"
        tab.wait(lambda: 0 <= tab.run(top) < PHONE[1] / 2, "the results in view")
    tab.find("#code-button").click()
    tab.screenshot(f"{'phone' if size == PHONE else 'desktop'}-{'dark' if dark else 'light'}-search", size)
    assert tab.run("return document.documentElement.scrollWidth") <= size[0]
    small = (
        "return [...document.querySelectorAll('button')].filter((o) => o.offsetParent && o.offsetHeight < 24).length"
    )
    assert tab.run(small) == 0
    assert tab.faults() == []


def test_a_touch_screen_gets_no_hint_about_dropping_and_sees_what_an_image_does(tab: Browser, indexed: Indexed) -> None:
    tab.command("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        opened(tab, indexed.url, size=PHONE)
        tab.command("Emulation.setEmulatedMedia", features=TOUCH)
        tab.find("#search-try button").click()
        tab.wait(lambda: len(tab.all("#hits .like")) == 24, "hits")
        assert "Drop" not in tab.find("#search-form").text
        assert tab.find("#hits .hint").text == "more like this"
        assert float(tab.run("return getComputedStyle(document.querySelector('#hits .hint')).opacity")) > 0.9
        assert tab.faults() == []
        tab.screenshot("phone-touch-search", PHONE)
    finally:
        tab.command("Emulation.setTouchEmulationEnabled", enabled=False)


def test_without_an_index_there_is_no_tab_and_nothing_is_asked_in_vain(browser: Browser, gateway: Gateway) -> None:
    gateway.seen.clear()
    browser.open(f"{gateway.url}/#search")
    browser.wait(lambda: "64 dimensions" in browser.find("#facts").text, "the model's facts")
    assert not browser.find("#modes").is_displayed()
    assert browser.find("#compare").is_displayed()
    # The page itself may come from what the browser has of it.
    asked = [request for request in gateway.seen if request != ("GET", "/")]
    assert asked == [("GET", "/v1/models")]


def test_images_are_requested_with_the_api_key_and_urls_are_asked_for_where_buckets_allow_them(
    chrome: Browser, bundle: Path, indexed: Indexed, search_root: Path
) -> None:
    with server(bundle, search_root, "--api-key", KEY, OPENCLIP_SEARCH_URL_BUCKETS="photos") as url:
        chrome.open(url)
        chrome.run("sessionStorage.setItem('openclip-api-key', arguments[0])", KEY)
        opened(chrome, url)
        chrome.find("#search-text").send_keys("a red circle", Keys.ENTER)
        chrome.wait(lambda: len(chrome.all("#hits img")) == 24, "hits")
        chrome.wait(lambda: chrome.run(SEEN) >= 6, "pictures")
        chrome.wait(lambda: all(one.get_attribute("src") for one in chrome.all("#hits img")), "a source for each")
        assert {one.get_attribute("src")[:5] for one in chrome.all("#hits img")} == {"blob:"}
        chrome.find("#code-button").click()
        assert '"with_urls":true' in chrome.find("#code-shown").text
        chrome.console()
        chrome.hosts()


def test_an_image_in_a_bucket_is_loaded_by_the_url_in_the_response(tab: Browser) -> None:
    tab.run(
        """const answer = window.fetch;
        window.fetch = async (url, options) => {
            if (!String(url).endsWith("v1/search")) return answer(url, options);
            const picture = document.createElement("canvas").toDataURL();
            const hit = { object: "hit", score: 0.5, metadata: {}, vector: [1] };
            const one = { ...hit, bucket: "b", key: "x/one.png", url: picture };
            const data = [one, ...["two.png", "y/three/"].map((key) => ({ ...hit, bucket: "b", key }))];
            return new Response(JSON.stringify({ object: "list", data }));
        };"""
    )
    tab.find("#search-text").send_keys("a red circle", Keys.ENTER)
    tab.wait(lambda: len(tab.all("#hits .like")) == 3, "hits")
    assert tab.find("#hits img").get_attribute("src").startswith("data:")
    assert tab.run(NAMES) == ["s3://b/x/one.png", "s3://b/two.png", "s3://b/y/three/"]
    assert [one.text for one in tab.all("#hits .name")] == ["one.png", "two.png", "three/"]
    assert tab.find("#hits .unseen").text == "no picture"
    assert tab.faults() == []


def test_at_a_base_path_without_a_slash_it_asks_below_the_base_path(
    chrome: Browser, bundle: Path, indexed: Indexed, search_root: Path
) -> None:
    with server(bundle, search_root, OPENCLIP_BASE_PATH="/clip") as url:
        opened(chrome, f"{url}/clip")
        chrome.find("#search-text").send_keys("a red circle", Keys.ENTER)
        chrome.wait(lambda: len(chrome.all("#hits .like")) == 24, "hits")
        asked = chrome.run("return performance.getEntriesByType('resource').map((one) => new URL(one.name).pathname)")
        assert {"/clip/v1/models", "/clip/v1/index", "/clip/v1/search"} <= set(asked)
        assert [path for path in asked if not path.startswith("/clip/")] == []
        assert chrome.run("return document.querySelector('nav a').href") == f"{url}/clip/docs"
        chrome.console()
        chrome.hosts()
