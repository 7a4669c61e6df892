"""The demo model's function under the emulator, with and without a key, and images that it knows."""

import base64
import io
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from layer.demo.shapes import COLORS, SHAPES, Thing, draw
from tests.clients import deployed
from tests.clients.browser import Browser, chromium
from tests.clients.gateway import KEY, Gateway, serving
from tests.clients.indexed import Indexed, embedded, opened, server
from tests.clients.page import api

MODEL = "openclip-lambda/shapes-i18n"


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The bundle that the Makefile built."""
    return Path(os.environ["OPENCLIP_DEMO_BUNDLE"]).resolve()


@pytest.fixture(scope="session")
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """An API that anybody may call."""
    with _api(request, tmp_path_factory.mktemp("open"), "") as api:
        yield api


@pytest.fixture(scope="session")
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """An API that asks for a key."""
    with _api(request, tmp_path_factory.mktemp("guarded"), KEY) as api:
        yield api


def _api(request: pytest.FixtureRequest, cache: Path, key: str) -> AbstractContextManager[Gateway]:
    """Start a function, unless one is deployed."""
    if there := deployed.found():
        return deployed.forwarding(there, guarded=bool(key))
    return serving(request.getfixturevalue("bundle"), cache, key)


@pytest.fixture(scope="session")
def chrome() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(chrome: Browser, gateway: Gateway, guarded: Gateway) -> Iterator[Browser]:
    """A tab that, in the end, has had no error on its console and has asked no other host."""
    yield chrome
    assert chrome.console() == []
    assert chrome.hosts() <= {gateway.url.removeprefix("http://"), guarded.url.removeprefix("http://")}
    chrome.run("sessionStorage.clear(); localStorage.clear()")  # of the origin that was open last: a key, a language
    chrome.driver.get("about:blank")


def drawn(color: str, kind: str = "PNG") -> bytes:
    """A circle of that color on white."""
    image = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(image).ellipse((30, 30, 98, 98), fill=color)
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def data_uri(data: bytes) -> str:
    return f"data:image/png;base64,{as_base64(data)}"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A red and a blue circle; one name is awkward for a shell."""
    images = {"red one's $HOME.png": drawn("red"), "blue.jpg": drawn("blue", "JPEG")}
    for name, data in images.items():
        (tmp_path / name).write_bytes(data)
    return [tmp_path / name for name in images]


@pytest.fixture(scope="session")
def search_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="session")
def indexed(bundle: Path, search_root: Path) -> Iterator[Indexed]:
    """64 images of 8 colors and 8 shapes, each color in a folder of its own."""
    for color in COLORS:
        (search_root / "images" / color).mkdir(parents=True)
    things = [Thing(color, shape) for color in COLORS for shape in SHAPES]
    keys = [f"{thing.color}/{thing.shape} 图.png" for thing in things]
    for number, (key, thing) in enumerate(zip(keys, things, strict=True)):
        draw(np.random.default_rng([77, number]), (thing,), 96).save(search_root / "images" / key)
    with server(bundle, search_root) as url:
        images = [{"image": data_uri((search_root / "images" / key).read_bytes())} for key in keys]
        put = [{"key": key, **image} for key, image in zip(keys, images, strict=True)]
        api(Gateway(int(url.rpartition(":")[2])), "/v1/index", {"put": put})
        yield Indexed(url, search_root / "images", dict(zip(keys, embedded(url, images), strict=True)))


@pytest.fixture
def tab(chrome: Browser, indexed: Indexed) -> Iterator[Browser]:
    """The tab, open; in the end its console has said nothing, and no other host was asked."""
    chrome.console()
    chrome.hosts()
    opened(chrome, indexed.url)
    yield chrome
    assert chrome.console() == []
    assert chrome.hosts() == {indexed.url.removeprefix("http://")}
    chrome.driver.get("about:blank")
