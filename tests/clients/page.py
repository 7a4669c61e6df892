"""The playground as a person uses it: images dropped, captions typed, compared; and the API beside it."""

import base64
import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.clients.browser import Browser
from tests.clients.gateway import Gateway
from tests.patience import SECONDS

CAPTIONS = ["a photo of a red circle", "一个蓝色的圆形的照片", "a photo of a green circle"]


def api(gateway: Gateway, path: str, body: Any) -> Any:
    request = urllib.request.Request(
        gateway.url + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return json.load(answer)


def fill(browser: Browser, files: list[Path]) -> None:
    browser.drop("#drop", *files)
    browser.wait(lambda: len(browser.all("#thumbs img")) == len(files), "a thumbnail for each image")
    browser.find("#captions").send_keys("\n".join(CAPTIONS))


def compare(browser: Browser, files: list[Path]) -> None:
    fill(browser, files)
    browser.find("#run").click()
    browser.wait(lambda: browser.all("#heatmap td.best"), "the heatmap")


def encoded(files: list[Path]) -> list[str]:
    return [base64.b64encode(file.read_bytes()).decode("ascii") for file in files]
