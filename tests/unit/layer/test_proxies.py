"""Proxies: of every kind that people set, those that cannot be used, and those that refuse."""

import socket
import threading
from importlib.util import find_spec

import pytest

from layer.errors import FetchError
from layer.network import environment
from layer.sources import hub
from tests.hub.odd import Reply, about, forget, odd_hub
from tests.hub.socks import socks_proxy


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ALL_PROXY", "ftp://127.0.0.1:9", "is not a proxy that can be used"),
        ("HTTPS_PROXY", "http://user:secret@:3128", "is not a proxy that can be used"),
        ("https_proxy", "http://proxy:99999999", "is not a proxy that can be used"),
        ("HTTP_PROXY", "socks4://127.0.0.1:9", "is not a proxy that can be used"),
        ("ALL_PROXY", "http://[::1", "is not a proxy that can be used"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(FetchError, match=says) as caught:
        environment.client()
    assert str(caught.value).startswith(f"{name} = ")
    assert f"{name}=http://host:port" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:9", "socks://127.0.0.1:9/", "socks5h://127.0.0.1:9"])
def test_socks_proxies_are_used_or_the_package_that_they_take_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    says = "cannot be reached" if find_spec("socksio") else r"pip install socksio \(it is in requirements.txt\)"

    with pytest.raises(FetchError, match=says):
        hub.repository("acme/tiny", None)


@pytest.mark.skipif(find_spec("socksio") is None, reason="socksio is not installed: see requirements.txt")
@pytest.mark.parametrize("scheme", ["socks5", "socks", "socks5h"])
def test_through_a_socks_proxy_the_hub_answers(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    closing = Reply(body=about().body, headers={"connection": "close"})
    with (
        odd_hub(lambda _path, _headers: closing) as odd,
        socks_proxy(int(odd.url.rpartition(":")[2])) as (at, asked),
    ):
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://{at}/")
        monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
        assert hub.repository("acme/tiny", None).license == "mit"

    assert asked == ["hub.invalid:80"]


def test_a_proxy_that_asks_for_a_password_is_told_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

        def refuse() -> None:
            for _ in range(2):
                connection, _address = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(refusal)

        threading.Thread(target=refuse, daemon=True).start()
        for name, endpoint in (("HTTPS_PROXY", "https://hub.invalid"), ("HTTP_PROXY", "http://hub.invalid")):
            monkeypatch.setattr(environment, "_client", None)
            monkeypatch.setenv(name, f"http://user:wrong@127.0.0.1:{listener.getsockname()[1]}")
            monkeypatch.setenv("HF_ENDPOINT", endpoint)
            with pytest.raises(
                FetchError, match="refused by the proxy, which asks for a user and a password"
            ) as caught:
                hub.repository("acme/tiny", None)
            assert "wrong" not in str(caught.value)


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@127.0.0.1:9")

    with pytest.raises(
        FetchError, match=r"cannot be reached.*check HTTPS_PROXY=http://127\.0\.0\.1:9, or unset it"
    ) as caught:
        hub.repository("acme/tiny", None)
    assert "secret" not in str(caught.value)


def test_no_proxy_is_heeded_and_a_proxy_is_asked_for_what_it_can_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    with odd_hub(lambda _path, _headers: about()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")  # a name that this machine cannot resolve
        assert hub.repository("acme/tiny", None).license == "mit"
        assert proxy.asked[0][0] == "http://hub.invalid/api/models/acme/tiny?blobs=true"

        monkeypatch.setattr(environment, "_client", None)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,hub.invalid")
        monkeypatch.setattr(hub, "_known", {})
        with pytest.raises(FetchError, match=r"hub\.invalid is not a name that this machine can resolve"):
            hub.repository("acme/tiny", None)
