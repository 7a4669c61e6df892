"""A server over a folder of drawn images and its index in LanceDB, as `make demo` leaves one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clients.browser import DESKTOP, Browser
from tests.clients.gateway import Gateway
from tests.clients.page import api
from tests.local.emulator import PYTHON, ROOT
from tests.patience import SECONDS

NAMES = "return [...document.querySelectorAll('#hits .name')].map((one) => one.title)"
SCORES = "return [...document.querySelectorAll('#hits .chip')].map((one) => one.textContent)"


class Indexed:
    """A folder of drawn images, a server over its index, and the images' vectors by key."""

    def __init__(self, url: str, folder: Path, vectors: dict[str, Any]) -> None:
        self.url, self.folder, self.vectors = url, folder, vectors

    def nearest(self, query: Any, prefix: str = "") -> list[tuple[str, float]]:
        found = [(key, float(vector @ query)) for key, vector in self.vectors.items() if key.startswith(prefix)]
        return sorted(found, key=lambda hit: -hit[1])

    def embed(self, item: Any) -> Any:
        return embedded(self.url, [item])[0]


def embedded(url: str, items: list[Any]) -> Any:
    data = api(Gateway(int(url.rpartition(":")[2])), "/v1/embeddings", {"input": items})["data"]
    return np.array([one["embedding"] for one in data])


@contextmanager
def server(bundle: Path, root: Path, *options: str, **more: str) -> Iterator[str]:
    folders = ["--index", str(root / "index"), "--images", str(root / "images")]
    environ = {**os.environ, "OPENCLIP_BUNDLE_DIR": str(bundle), "OPENCLIP_CACHE_DIR": str(root / "cache"), **more}
    process = subprocess.Popen(
        [PYTHON, "-m", "devserver", "--port", "0", *folders, *options],
        cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait(SECONDS)


def opened(browser: Browser, url: str, dark: bool = False, size: tuple[int, int] = DESKTOP) -> None:
    browser.open(url, dark, size)
    browser.wait(lambda: browser.find("#modes").is_displayed(), "the tab")
    browser.find("#mode-search").click()


def shows(browser: Browser, expected: list[tuple[str, float]]) -> None:
    keys, scores = [key for key, _ in expected], [score for _, score in expected]
    browser.wait(lambda: browser.run(NAMES) == keys, f"these hits: {keys}")
    assert [float(score) for score in browser.run(SCORES)] == pytest.approx(scores, abs=0.0011)
