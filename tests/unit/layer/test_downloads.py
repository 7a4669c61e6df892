"""Files as a hub or a mirror sends them: bounded, held to size and hash, and gone on with after a break."""

import gzip
import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from layer.errors import FetchError
from layer.network import environment, transfer
from layer.sources import fetch, hub
from layer.sources.expected import Expected
from layer.sources.fetch import Located
from layer.sources.resolve import Need
from tests.hub.odd import COMMIT, PAGE, Reply, about, closing, forget, odd_hub, serving


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    monkeypatch.setattr(transfer, "sleep", lambda _: None)


def located(folder: Path, size: int | None, sha256: str | None = None, name: str = "config.json") -> Located:
    expected = {name: Expected(size, sha256)}
    return Located(Need("acme/tiny", ("config",)), None, COMMIT, None, folder / "hub" / COMMIT, expected)


def take(folder: Path, size: int | None, sha256: str | None = None, name: str = "config.json") -> bytes:
    one = located(folder, size, sha256, name)
    fetch.download(one, name, lambda _: None)
    return (one.folder / name).read_bytes()


def test_a_token_follows_no_redirect_to_another_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with odd_hub(lambda _path, _headers: Reply(body=b"{}")) as other:
        elsewhere = Reply(302, headers={"location": other.url.replace("127.0.0.1", "localhost") + "/cdn/x"})
        with serving(monkeypatch, elsewhere) as first:
            assert take(tmp_path, 2) == b"{}"

    assert first.asked[0][1]["authorization"] == "Bearer hf_secret"
    assert [("authorization" in headers) for _, headers in other.asked] == [False]


def test_an_answer_and_a_small_file_of_gigabytes_are_not_read_to_their_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(transfer, "MAX_RESPONSE", 10_000)
    with (
        serving(monkeypatch, Reply(body=b" " * 50_000)),
        pytest.raises(FetchError, match="the response is longer than"),
    ):
        hub.repository("acme/tiny", None)
    monkeypatch.setattr(hub, "MAX_TEXT", 10_000)
    file = {"rfilename": "config.json", "size": 5_000_000_000}
    with serving(monkeypatch, about(siblings=[file])):
        with pytest.raises(FetchError, match=r"5000000000 bytes: at most 10000 are taken of such a file"):
            hub.repository("acme/tiny", None).stated("config.json")
        for size in (-1, "7", 1.5, [1], True):
            monkeypatch.setattr(hub, "_known", {})
            file["size"] = size
            with serving(monkeypatch, about(siblings=[file])), pytest.raises(FetchError, match="cannot be used"):
                hub.repository("acme/tiny", None).stated("config.json")
    with serving(monkeypatch, Reply(body=b"x" * 50_000)), pytest.raises(FetchError, match="longer than 10000 bytes"):
        take(tmp_path, None)
    assert not list(tmp_path.rglob("config.json"))


@pytest.mark.parametrize(
    ("reply", "size", "says"),
    [
        (Reply(body=b"x" * 300), 100, "300 bytes are sent, the hub says 100"),
        (
            Reply(body=b"5\r\nabcde\r\n0\r\n\r\n", headers={"transfer-encoding": "chunked"}, length=""),
            3,
            "longer than 3",
        ),
        (
            Reply(body=b"5\r\nabcde\r\n0\r\n\r\n", headers={"transfer-encoding": "chunked"}, length=""),
            100,
            "has 5 bytes, the hub says 100: it was removed",
        ),
        (Reply(body=b"x" * 100), 100, "has the hash .*, the hub says 0000.*: it was removed"),
        (PAGE, 100, "answers with a web page .*Is it a network's login page"),
        (replace(PAGE, length=""), 100, "answers with a web page .*Is it a network's login page"),
        (
            Reply(body=b"version https://git-lfs.github.com/spec/v1\noid"),
            900,
            "is a Git LFS pointer in place of the file",
        ),
        (Reply(body=b"x", length=""), None, "does not say where the file ends"),
        (Reply(302, headers={"location": "gopher://x"}), 100, "cannot be followed"),
        (Reply(404), 100, "is not there"),
        (Reply(206, b"x" * 100), 100, "sends a part, and was asked for the whole file"),
    ],
    ids=range(11),
)
def test_a_file_that_is_not_the_one_meant_never_gets_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reply: Reply, size: int | None, says: str
) -> None:
    with serving(monkeypatch, reply), pytest.raises(FetchError, match=rf"config.json of acme/tiny .*{says}"):
        take(tmp_path, size, "0" * 64 if size else None)

    assert not list(tmp_path.rglob("config.json"))


def test_a_mirror_without_sizes_and_hashes_is_held_to_what_it_announces(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving(monkeypatch, about(siblings=[{"rfilename": "config.json"}])):
        assert hub.repository("acme/tiny", None).stated("config.json") == Expected(None, None)
    digest = hashlib.sha256(b"{}").hexdigest()
    for headers in ({}, {"x-linked-etag": f'"{digest}"'}, {"etag": '"an-opaque-one"'}, {"etag": f'"{digest}"'}):
        with serving(monkeypatch, Reply(body=b"{}", headers=headers)):
            assert take(tmp_path / str(headers), None) == b"{}"
    chunked = Reply(body=b"2\r\n{}\r\n0\r\n\r\n", headers={"transfer-encoding": "chunked"}, length="")
    with serving(monkeypatch, chunked):  # which says at its end that this was all
        assert take(tmp_path / "chunked", None) == b"{}"
    wrong = Reply(body=b"{}", headers={"x-linked-etag": f'"{"0" * 64}"'})
    with serving(monkeypatch, wrong), pytest.raises(FetchError, match="has the hash"):
        take(tmp_path / "wrong", None)
    # The hub says the file's hash; the host that it redirects to has marks of its own.
    with odd_hub(lambda _path, _headers: Reply(body=b"{}", headers={"etag": f'"{"1" * 64}"'})) as other:
        elsewhere = Reply(302, headers={"location": f"{other.url}/cdn/x", "x-linked-etag": f'"{digest}"'})
        with serving(monkeypatch, elsewhere):
            assert take(tmp_path / "elsewhere", None) == b"{}"


def test_a_mirror_that_compresses_whatever_it_is_asked_is_held_to_the_size_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = b'{"vocabulary": "' + b"a" * 5000 + b'"}'
    packed = Reply(body=gzip.compress(body), headers={"content-encoding": "gzip"})
    with serving(monkeypatch, packed) as odd:
        assert take(tmp_path, len(body), hashlib.sha256(body).hexdigest()) == body
    assert odd.asked[0][1]["accept-encoding"] == "identity"  # a part of a compressed file is of no use


def test_a_download_goes_on_after_a_broken_connection_and_starts_anew_where_the_server_cannot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = bytes(range(256)) * 10
    digest = hashlib.sha256(body).hexdigest()

    def ranged(_path: str, headers: Mapping[str, str]) -> Reply:
        if "range" not in headers:
            return Reply(body=body[:1000], length=str(len(body)))  # and the connection breaks
        start = int(headers["range"].removeprefix("bytes=").rstrip("-"))
        told = {"content-range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        return Reply(206, body[start:], told)

    with serving(monkeypatch, lambda path, headers: closing(ranged(path, headers))) as odd:
        assert take(tmp_path / "ranged", len(body), digest) == body
    assert [headers.get("range") for _, headers in odd.asked] == [None, "bytes=1000-"]

    # What an earlier build left: its rest is asked for, and nothing where only the name is missing.
    for length, ranges in ((700, ["bytes=700-"]), (len(body), [])):
        partial = located(tmp_path / str(length), len(body)).folder / "config.json.partial"
        partial.parent.mkdir(parents=True)
        partial.write_bytes(body[:length])
        with serving(monkeypatch, lambda path, headers: closing(ranged(path, headers))) as odd:
            assert take(tmp_path / str(length), len(body), digest) == body
        assert [headers.get("range") for _, headers in odd.asked] == ranges

    cut = Reply(body=body[:1000], length="")  # as of a proxy that says no length, and lost its own connection
    answers = [cut, Reply(206, body[1000:], {"content-range": f"bytes 1000-{len(body) - 1}/{len(body)}"})]
    with serving(monkeypatch, lambda _path, _headers: closing(answers[len(odd.asked) - 1])) as odd:
        assert take(tmp_path / "no length", len(body), digest) == body

    for name, left in (("a part", body[:700]), ("other bytes", b"y" * 700), ("too much", b"z" * 9000)):
        partial = located(tmp_path / name, len(body)).folder / "config.json.partial"
        partial.parent.mkdir(parents=True)
        partial.write_bytes(left)
        with serving(monkeypatch, Reply(body=body)):  # which knows no ranges, and responses 200
            assert take(tmp_path / name, len(body), digest) == body


@pytest.mark.parametrize("length", [None, ""], ids=["length", "no length"])
def test_what_is_there_of_a_file_survives_a_login_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, length: str | None
) -> None:
    """A build that goes on in another network, before its user has signed in there."""
    partial = located(tmp_path, 2000).folder / "config.json.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * 700)
    with serving(monkeypatch, replace(PAGE, length=length)), pytest.raises(FetchError, match="login page"):
        take(tmp_path, 2000, "0" * 64)
    assert partial.read_bytes() == b"x" * 700


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setattr(environment, "_client", None)
    monkeypatch.setattr(transfer, "WINDOW_SECONDS", 0.3)
    monkeypatch.setattr(transfer, "RESPONSE_SECONDS", 0.3)
    drip = Reply(body=b" " * 1000, pause=lambda: time.sleep(0.02))

    with serving(monkeypatch, drip), pytest.raises(FetchError, match="has nearly stopped"):
        take(tmp_path, 1000)
    with serving(monkeypatch, drip), pytest.raises(FetchError, match="the response takes longer than"):
        hub.repository("acme/tiny", None)

    monkeypatch.setattr(transfer, "WINDOW_BYTES", 300)  # also where the beginning came at once
    sent = count()
    later = Reply(body=b" " * 1000, pause=lambda: time.sleep(0.02 if next(sent) > 500 else 0))
    with serving(monkeypatch, later), pytest.raises(FetchError, match="has nearly stopped"):
        take(tmp_path / "later", 1000)


def test_a_small_file_is_held_to_the_hash_that_git_has_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hub states a sha256 of files in LFS alone, and of others git's blob id."""
    name = "open_clip_config.json"
    sent = [b"[]", b"{}"]  # of one size
    with serving(monkeypatch, lambda path, _: about() if path.startswith("/api/") else Reply(body=sent.pop(0))):
        want = hub.repository("acme/tiny", None).stated(name)
        one = replace(located(tmp_path, None), expected={name: want})
        with pytest.raises(FetchError, match=r"has the hash .* the hub says 9e26dfee.*: it was removed"):
            fetch.download(one, name, lambda _: None)
        fetch.download(one, name, lambda _: None)
    assert (one.folder / name).read_bytes() == b"{}"
