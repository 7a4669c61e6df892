"""The local server with an index: the search's routes beside the API's, and the indexed folder's files."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devserver.search import LocalSearch
from handler import manifest
from handler.search.lance import LanceIndex
from handler.search.records import About, Item
from handler.search.settings import SearchSettings
from tests.unit.fake_bundle import FIRST, image_bytes, write

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    root = tmp_path_factory.mktemp("search")
    bundle, images = write(root / "bundle"), root / "images"
    (images / "more").mkdir(parents=True)
    for name in ("a b.png", "more/图.png", "unknown.png", "../outside.png"):
        (images / name).write_bytes(image_bytes())
    (images / "link.png").symlink_to(root / "outside.png")
    (images / "text.png").write_text("no image")
    index = LanceIndex(str(root / "index"))
    about = About(FIRST, manifest.load(bundle).sha256, {}, 4)
    index.prepare(about)
    names = ("a b.png", "more/图.png", "../outside.png", "link.png", "text.png", "lost.png")
    vector = np.array([1, 0, 0, 0], np.float32)
    index.put([Item("", name, "", 1, 1, 1, 1, 1, vector) for name in names], about)
    command = [sys.executable, "-m", "devserver", "--port", "0", "--images", str(images)]
    environ = {**os.environ, "OPENCLIP_BUNDLE_DIR": str(bundle), "OPENCLIP_INDEX": str(root / "index")}
    server = subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout
        yield int(server.stdout.readline().rpartition(":")[2])
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.wait()


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, {"content-type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def test_the_index_and_the_api_are_served_beside_each_other(port: int) -> None:
    assert json.loads(ask(port, "GET", "/v1/index")[2])["rows"] == 6
    assert ask(port, "GET", "/v1/models")[0] == 200
    paths = json.loads(ask(port, "GET", "/openapi.json")[2])["paths"]
    assert {"/v1/search", "/v1/index", "/v1/embeddings", "/v1/classify"} <= set(paths)
    status, _, body = ask(port, "POST", "/v1/search", {"query": {"vector": [1, 0]}})
    assert (status, json.loads(body)["error"]["code"]) == (503, "not_ready")  # this bundle has no weights


@pytest.mark.parametrize("key", ["a%20b.png", "more/%E5%9B%BE.png"])
def test_an_indexed_file_is_shown(port: int, key: str) -> None:
    status, headers, body = ask(port, "GET", f"/v1/search/image?key={key}")
    assert (status, body, headers["content-type"]) == (200, image_bytes(), "image/png")
    assert headers["x-content-type-options"] == "nosniff"
    assert ask(port, "HEAD", f"/v1/search/image?key={key}")[2] == b""


HIDDEN = (
    "unknown.png",
    "../outside.png",
    "%2e%2e/outside.png",
    "link.png",
    "lost.png",
    "",
    "more",
    "%00",
    "/etc/passwd",
)


@pytest.mark.parametrize("key", HIDDEN)
def test_no_other_file_is(port: int, key: str) -> None:
    status, _, body = ask(port, "GET", f"/v1/search/image?key={key}")
    assert (status, json.loads(body)["error"]["code"]) == (404, "object_not_found")


def test_a_file_that_is_no_image_is_not_shown(port: int) -> None:
    status, _, body = ask(port, "GET", "/v1/search/image?key=text.png")
    assert (status, json.loads(body)["error"]["code"]) == (400, "not_an_image")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rights are another's, or it was removed since it was looked for: the connection was closed without a word."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(image_bytes())
    local = LocalSearch(SearchSettings(str(tmp_path / "index")), tmp_path / "images")
    monkeypatch.setattr(LanceIndex, "has", lambda *_: True)
    assert local.image("key=a.png")[0] == 200
    monkeypatch.setattr(Path, "read_bytes", lambda _: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    status, _, body = local.image("key=a.png")
    error = json.loads(body)["error"]
    assert (status, error["code"], error["param"]) == (403, "object_not_readable", "key")
    assert error["message"] == "a.png cannot be read: Permission denied"
