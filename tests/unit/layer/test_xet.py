"""Large files by huggingface_hub's Xet client: only from the hub that was named, only whole."""

import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
from huggingface_hub import constants, file_download
from huggingface_hub.utils import _xet

from layer.network import environment, transfer, xet
from layer.network.announced import Announced
from layer.sources import download, fetch
from layer.sources.expected import Expected
from layer.sources.fetch import Located
from layer.sources.resolve import Need

HUB = "https://hub.example"
SIZE = xet.MIN_BYTES


def offer(monkeypatch: pytest.MonkeyPatch, route: str | None, written: bytes = b"x" * SIZE) -> list[dict[str, Any]]:
    """Have the library offer a file by Xet; returns what it was asked for."""
    asked: list[dict[str, Any]] = []

    def get(**request: Any) -> None:
        asked.append(request)
        request["incomplete_path"].write_bytes(written)

    data = SimpleNamespace(refresh_route=route) if route else None
    offer_storage(monkeypatch, "https://storage.example")
    monkeypatch.setattr(xet, "_reach", lambda address: asked.append({"reached": address}))
    monkeypatch.setenv("HF_ENDPOINT", HUB)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    monkeypatch.setattr(file_download, "get_hf_file_metadata", lambda *_, **__: SimpleNamespace(xet_file_data=data))
    monkeypatch.setattr(file_download, "xet_get", get)
    return asked


def offer_storage(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    storage = SimpleNamespace(endpoint=address)
    monkeypatch.setattr(_xet, "refresh_xet_connection_info", lambda **_: storage)


def test_a_file_that_the_hub_has_there_comes_by_xet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = offer(monkeypatch, f"{HUB}/api/models/a/b/xet-read-token/1")

    assert xet.download(f"{HUB}/x", tmp_path / "x", SIZE, {"authorization": "Bearer t"})

    [reached, request] = asked
    assert reached == {"reached": "https://storage.example"}
    assert request["expected_size"] == SIZE
    assert (tmp_path / "x").stat().st_size == SIZE


def test_a_hub_that_its_library_cannot_reach_is_left_to_http(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library heeds fewer of this machine's settings than we do: a company's certificates by another variable."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    assert not xet.download("http://127.0.0.1:1/a/b/resolve/main/x", tmp_path / "x", SIZE, {})
    told = capsys.readouterr().err
    assert re.search(r"note: by HTTP, since Xet failed: .*Connection refused", told)  # with a system's own number


def test_a_storage_that_cannot_be_reached_is_left_to_http_within_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A firewall may know the hub alone. The library's client would try for three minutes, and say nothing."""
    reach = xet._reach
    asked = offer(monkeypatch, f"{HUB}/token")
    monkeypatch.setattr(xet, "_reach", reach)
    for name in environment.OFFLINE:
        monkeypatch.delenv(name, raising=False)
    offer_storage(monkeypatch, "http://127.0.0.1:1")

    assert not xet.download(f"{HUB}/x", tmp_path / "x", SIZE, {})
    assert asked == []
    assert "note: by HTTP, since Xet failed: http://127.0.0.1:1 cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize("route", [None, "https://elsewhere.example/token", f"{HUB}.evil.example/token"])
def test_no_token_goes_to_another_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, route: str | None) -> None:
    asked = offer(monkeypatch, route)

    assert not xet.download(f"{HUB}/x", tmp_path / "x", SIZE, {"authorization": "Bearer t"})
    assert asked == []


@pytest.mark.parametrize("size", [None, SIZE - 1, SIZE + 1])
def test_a_small_file_one_of_no_known_size_and_half_of_one_come_by_http(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int | None
) -> None:
    offer(monkeypatch, f"{HUB}/token")

    assert not xet.download(f"{HUB}/x", tmp_path / "x", size, {})


def test_what_a_killed_download_by_xet_left_does_not_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its next download may be by HTTP, which knows nothing of that file."""

    def get(_url: str, stream: BinaryIO, *_: object, **__: object) -> Announced:
        stream.write(b"whole")
        return Announced(5, None)

    monkeypatch.setattr(transfer, "download", get)
    located = Located(Need("a/b", ("weights",)), None, "0" * 40, None, tmp_path, {"x": Expected(5, None)})
    (tmp_path / "x.xet").write_bytes(b"hal")

    fetch.download(located, "x", lambda _: None)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"whole"}


def test_what_stops_a_fetch_ends_its_downloads_by_xet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ctrl-C, or another file that fails: a download by Xet was waited for to its end."""
    aborted: list[str] = []

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "download", stopped)
    monkeypatch.setattr(xet, "abort", lambda: aborted.append("all"))
    located = Located(Need("a/b", ("weights",)), None, "0" * 40, None, tmp_path, {"x": Expected(1, None)})

    with pytest.raises(KeyboardInterrupt):
        download._download_all([(located, "x")], tmp_path, True)
    assert aborted == ["all"]


def test_ctrl_c_while_downloads_begin_stops_those_that_have_begun(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun: list[Future[Any]] = []
    submit = ThreadPoolExecutor.submit

    def submit_one(pool: ThreadPoolExecutor, *job: Any) -> Future[Any]:
        if begun:
            raise KeyboardInterrupt
        begun.append(submit(pool, *job))
        return begun[0]

    def slow(_: Located, __: str, advance: Callable[[int], None], ___: bool) -> None:
        for _step in range(500):
            advance(0)
            time.sleep(0.01)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit_one)
    monkeypatch.setattr(download, "download", slow)
    located = Located(Need("a/b", ("weights",)), None, "0" * 40, None, tmp_path, {"x": Expected(1, None)})

    with pytest.raises(KeyboardInterrupt):
        download._download_all([(located, "x"), (located, "x")], tmp_path, False)
    assert isinstance(begun[0].exception(), InterruptedError), "it was waited for to its end"
