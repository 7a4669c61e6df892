"""Two things at once in the search tab: what was asked last is what is shown, and nothing of it is lost."""

from selenium.webdriver.common.keys import Keys

from tests.clients.browser import Browser
from tests.clients.indexed import Indexed, opened, shows
from tests.clients.test_playground_order import HELD, THROTTLED

FEWER = """const ask = window.fetch;
    window.fetch = async (url, options) => {
        const response = await ask(url, options);
        if (!String(url).endsWith("v1/index")) return response;
        return new Response(JSON.stringify({ ...await response.json(), max_k: 40, filters: ["bucket"] }));
    };"""


def test_the_image_that_was_given_last_counts_even_if_it_is_read_first(tab: Browser, indexed: Indexed) -> None:
    tab.run(
        """const read = window.createImageBitmap;
        window.held = [];
        window.createImageBitmap = async (file) => {
            if (file.name.startsWith("star")) await new Promise((go) => window.held.push(go));
            return read(file);
        };"""
    )
    tab.drop("#search-form", indexed.folder / "red" / "star 图.png")
    tab.wait(lambda: tab.run("return window.held.length") == 1, "the first")
    tab.drop("#search-form", indexed.folder / "green" / "moon 图.png")
    tab.wait(lambda: len(tab.all("#hits .like")) == 24, "hits")
    tab.driver.execute_async_script("window.held.forEach((go) => go()); setTimeout(arguments[0], 300);")
    assert [one.get_attribute("alt") for one in tab.all("#search-thumbs img")] == ["moon 图.png"]
    shows(tab, indexed.nearest(indexed.vectors["green/moon 图.png"])[:24])


def test_a_search_is_not_lost_to_a_comparison_that_ends_meanwhile(tab: Browser, indexed: Indexed) -> None:
    tab.find("#mode-compare").click()
    tab.find("#examples").click()
    tab.wait(lambda: tab.all("#heatmap td.best"), "the heatmap")
    tab.find("#tab-zero-shot").click()
    tab.wait(lambda: tab.all("#classified figure"), "the bars")
    tab.run(HELD, "v1/similarity")
    tab.find("#run").click()
    tab.wait(lambda: tab.run("return window.held.length") == 1, "the comparison")
    tab.find("#mode-search").click()
    tab.run(
        """const next = window.fetch;
        window.fetch = async (url, options) => {
            if (String(url).endsWith("v1/search")) {
                window.held.splice(0).forEach((go) => go());
                await new Promise((go) => setTimeout(go, 500));
            }
            return next(url, options);
        };"""
    )
    tab.find("#search-text").send_keys("a red circle", Keys.ENTER)
    shows(tab, indexed.nearest(indexed.embed("a red circle"))[:24])


def test_more_can_be_asked_for_again_where_it_failed_once(tab: Browser, indexed: Indexed) -> None:
    tab.find("#search-text").send_keys("a red circle", Keys.ENTER)
    tab.wait(lambda: len(tab.all("#hits .like")) == 24, "hits")
    tab.run("window.real = window.fetch")
    tab.run(THROTTLED, "v1/search")
    tab.find("#search-more").click()
    tab.wait(lambda: "Too many requests" in tab.find("#error").text, "the error")
    tab.run("window.fetch = window.real")
    tab.find("#language").click()
    assert tab.find("#search-more").is_displayed()
    tab.find("#search-more").click()
    shows(tab, indexed.nearest(indexed.embed("a red circle"))[:48])
    tab.find("#language").click()  # as it was, for the next test


def test_an_index_that_gives_fewer_hits_is_asked_for_no_more(tab: Browser, indexed: Indexed) -> None:
    """S3 Vectors gives 100 at once, and has no filter for the beginning of a key."""
    tab.driver.get("about:blank")
    with tab.before_each_page(FEWER):
        opened(tab, indexed.url)
        assert not tab.find("#search-prefix").is_displayed()
        tab.find("#search-text").send_keys("a red circle", Keys.ENTER)
        nearest = indexed.nearest(indexed.embed("a red circle"))
        shows(tab, nearest[:24])
        tab.run("document.querySelector('#search-more').focus()")
        tab.press(Keys.ENTER)
        shows(tab, nearest[:40])
        assert not tab.find("#search-more").is_displayed()
        last = nearest[39][0].rpartition("/")[2]
        assert tab.run("return document.activeElement.ariaLabel") == f"more like this: {last}"


def test_a_hit_that_another_model_found_is_not_searched_by(tab: Browser, indexed: Indexed) -> None:
    tab.find("#search-text").send_keys("a red circle", Keys.ENTER)
    tab.wait(lambda: len(tab.all("#hits .like")) == 24, "hits")
    tab.run(
        """const ask = window.fetch;
        window.fetch = async (url, options) => {
            const response = await ask(url, options);
            const headers = new Headers(response.headers);
            headers.set("x-openclip-manifest", "0".repeat(64));
            const text = await response.text();
            window.opened = String(url).endsWith("v1/index");
            return new Response(text, { status: response.status, headers });
        };"""
    )
    tab.find("#hits .like").click()
    tab.wait(lambda: tab.run("return window.opened === true"), "that the index was asked what it is now")
    tab.wait(lambda: "The model has changed" in tab.find("#error").text, "that nothing was found by it")
    assert tab.all("#search-thumbs img") == []
    assert not tab.find("#found").is_displayed()
    tab.find("#search-text").send_keys("a red circle", Keys.ENTER)
    tab.wait(lambda: len(tab.all("#hits .like")) == 24, "hits of the other model")
    tab.find("#hits .like").click()
    tab.wait(lambda: tab.find("#search-thumbs img") and tab.find("#error").text == "", "images like one of these")
