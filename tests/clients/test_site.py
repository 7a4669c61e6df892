"""The documents' site can be read by light and in the dark: colors stand out, and a link is more than a color."""

from pathlib import Path

import pytest

from tests.clients.browser import Browser

SITE = Path(__file__).parents[2] / "build" / "site"
RULES = ("color-contrast", "link-in-text-block")
# Of a single sign, axe-core cannot tell whether it is text.
TOO_SHORT = "Element content is too short"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("page", ["index", "api", "client", "collections", "deploy", "engines", "zh-CN/index"])
def test_text_code_and_links_stand_out(chrome: Browser, page: str, dark: bool) -> None:
    chrome.open((SITE / f"{page}.html").as_uri(), dark)
    faults = [fault for fault in chrome.faults() if fault.startswith(RULES) and TOO_SHORT not in fault]

    assert chrome.all("article h1"), "the page"
    assert faults == []
