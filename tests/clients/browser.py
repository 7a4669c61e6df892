"""A real headless Chromium: what it asked for, what its console said, and files dropped on it as people do."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.patience import SECONDS

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
FLAGS = (  # the third line keeps it from calling its maker, which would be a request to another host
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--force-prefers-reduced-motion",  # nothing is looked at, or clicked, while it moves or fades
)  # fmt: skip
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
AUDIT = """const done = arguments[0];
axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then(
    ({ violations, incomplete }) => done([...violations, ...incomplete.filter(({ id }) => id === "color-contrast")]
        .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary, any }) =>
            `${id}: ${target}: ${failureSummary ?? ""} ${any.map(({ message }) => message).join("; ")}`))));"""
DESKTOP, PHONE = (1280, 900), (390, 844)


class Browser:
    """One tab."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str, dark: bool = False, size: tuple[int, int] = DESKTOP) -> None:
        """Open a page on a screen of that size and preference."""
        self.command(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self.resize(*size)
        self.driver.get(url)

    def resize(self, width: int, height: int) -> None:
        """Set the screen's size in CSS pixels."""
        mobile = width < 600
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, mobile=mobile, deviceScaleFactor=2 if mobile else 1,
        )  # fmt: skip

    def command(self, name: str, **parameters: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found

    def wait(self, condition: Any, what: str, seconds: float = SECONDS) -> None:
        """Wait until a condition of this browser holds."""
        WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(lambda _: condition(), f"not seen: {what}")

    def press(self, *keys: str, control: bool = False) -> None:
        """Press keys on whatever has the focus."""
        from selenium.webdriver.common.action_chains import ActionChains

        actions = ActionChains(self.driver)
        if control:
            actions = actions.key_down(Keys.CONTROL)
        actions = actions.send_keys(*keys)
        (actions.key_up(Keys.CONTROL) if control else actions).perform()

    def drop(self, selector: str, *files: Path) -> None:
        """Drag files over an element and let go."""
        box = self.find(selector).rect
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.command("Input.dispatchDragEvent", type=kind, data=data, **place)

    @contextmanager
    def before_each_page(self, script: str) -> Iterator[None]:
        """Run a script on each page that is opened, before those of its own."""
        added = self.command("Page.addScriptToEvaluateOnNewDocument", source=script)
        try:
            yield
        finally:
            self.command("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])

    def faults(self) -> list[str]:
        """Return what axe-core finds wrong by WCAG 2.2 AA with the page as it is shown now: contrast, names, roles."""
        self.run(AXE.read_text(encoding="utf-8"))
        found: list[str] = self.driver.execute_async_script(AUDIT)
        return found

    def screenshot(self, name: str, size: tuple[int, int] = DESKTOP) -> Path:
        """Keep the whole page as an image in build/screenshots."""
        self.resize(size[0], self.run("return document.documentElement.scrollHeight"))
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.driver.save_screenshot(str(path))
        self.resize(*size)
        return path

    def console(self) -> list[str]:
        """Return what the console said since it was asked last."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def hosts(self) -> set[str]:
        """Return every host that was asked for anything since this was called last, data and blobs left out."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return {urlsplit(url).netloc for url in urls if urlsplit(url).scheme not in ("data", "blob")}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium, and end it."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.fail("Chromium is missing: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = binary
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    chrome.set_script_timeout(SECONDS)  # axe-core's look at a page
    try:
        yield Browser(chrome)
    finally:
        chrome.quit()
