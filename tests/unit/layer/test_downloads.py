"""Files as a hub or a mirror sends them: bounded, held to size and hash, and gone on with after a break."""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from layer.errors import FetchError
from layer.network import environment, transfer
from layer.sources import fetch, hub
from layer.sources.fetch import Expected, Located
from layer.sources.resolve import Need
from tests.hub.odd import COMMIT, PAGE, Reply, about, forget, odd_hub, serving


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
        (Reply(body=b"x" * 100), 100, "has the hash .*, the hub says 0000.*: it was removed"),
        (PAGE, 100, "answers with a web page .*Is it a network's login page"),
        (
            Reply(body=b"version https://git-lfs.github.com/spec/v1\noid"),
            900,
            "is a Git LFS pointer in place of the file",
        ),
        (Reply(body=b"x", length=""), None, "does not say where the file ends"),
        (Reply(302, headers={"location": "gopher://x"}), 100, "cannot be followed"),
        (Reply(404), 100, "is not there"),
        (Reply(206, b"x" * 100), 100, "has the hash"),
    ],
    ids=range(9),
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
        assert hub.repository("acme/tiny", None).stated("config.json") == hub.Stated(None, None, None)
    digest = hashlib.sha256(b"{}").hexdigest()
    for headers in ({}, {"x-linked-etag": f'"{digest}"'}, {"etag": '"an-opaque-one"'}, {"etag": f'"{digest}"'}):
        with serving(monkeypatch, Reply(body=b"{}", headers=headers)):
            assert take(tmp_path / str(headers), None) == b"{}"
    wrong = Reply(body=b"{}", headers={"x-linked-etag": f'"{"0" * 64}"'})
    with serving(monkeypatch, wrong), pytest.raises(FetchError, match="has the hash"):
        take(tmp_path / "wrong", None)


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

    with serving(monkeypatch, lambda path, headers: _closing(ranged(path, headers))) as odd:
        assert take(tmp_path / "ranged", len(body), digest) == body
    assert [headers.get("range") for _, headers in odd.asked] == [None, "bytes=1000-"]

    # What an earlier build left: its rest is asked for, and nothing where only the name is missing.
    for length, ranges in ((700, ["bytes=700-"]), (len(body), [])):
        partial = located(tmp_path / str(length), len(body)).folder / "config.json.partial"
        partial.parent.mkdir(parents=True)
        partial.write_bytes(body[:length])
        with serving(monkeypatch, lambda path, headers: _closing(ranged(path, headers))) as odd:
            assert take(tmp_path / str(length), len(body), digest) == body
        assert [headers.get("range") for _, headers in odd.asked] == ranges

    for name, left in (("a part", body[:700]), ("other bytes", b"y" * 700), ("too much", b"z" * 9000)):
        partial = located(tmp_path / name, len(body)).folder / "config.json.partial"
        partial.parent.mkdir(parents=True)
        partial.write_bytes(left)
        with serving(monkeypatch, Reply(body=body)):  # which knows no ranges, and responses 200
            assert take(tmp_path / name, len(body), digest) == body


OLD, NEW = bytes(range(256)) * 8, bytes(range(255, -1, -1)) * 8  # of one size, as a checkpoint that was trained on


@pytest.mark.parametrize("honors", [True, False], ids=["If-Range", "no If-Range"])
@pytest.mark.parametrize("mark", ["etag", "last-modified", "weak", "none"])
@pytest.mark.parametrize("after", [OLD, NEW], ids=["the same", "another"])
@pytest.mark.parametrize("stopped", [True, False], ids=["build stopped", "connection broke"])
def test_the_end_of_another_version_is_never_put_behind_the_beginning_of_the_first(
    tmp_path: Path, mark: str, after: bytes, honors: bool, stopped: bool
) -> None:
    """An address whose hash nobody knows, as a checkpoint's of one's own, by a server of each kind (RFC 9110)."""
    content = [OLD]

    def answer(_path: str, headers: Mapping[str, str]) -> Reply:
        body = content[0]
        number = hashlib.sha256(body).hexdigest()[:8]
        stamps = {OLD: "Sun, 29 Nov 2026 10:00:00 GMT", NEW: "Sun, 29 Nov 2026 11:00:00 GMT"}
        marks = {"etag": f'"{number}"', "last-modified": stamps[body], "weak": f'W/"{number}"'}
        told = {"etag" if mark == "weak" else mark: marks[mark]} if mark != "none" else {}
        if "range" in headers and (not honors or headers["if-range"] in told.values()):
            start = int(headers["range"].removeprefix("bytes=").rstrip("-"))
            return _closing(Reply(206, body[start:], {**told, "content-range": f"bytes {start}-2047/2048"}))
        if content[0] is OLD and len(odd.asked) == 1:
            content[0] = after
            return _closing(Reply(body=OLD[:700], headers=told, length="2048"))  # and the connection breaks
        return _closing(Reply(body=body, headers=told))

    with odd_hub(answer) as odd:
        target = tmp_path / "epoch_10.pt"
        if stopped:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(transfer, "sleep", _interrupted)
                with pytest.raises(KeyboardInterrupt):
                    fetch.download_url(f"{odd.url}/epoch_10.pt", target, "")
        fetch.download_url(f"{odd.url}/epoch_10.pt", target, "")

    assert target.read_bytes() == after
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_10.pt"]
    ranges = [headers.get("range") for _, headers in odd.asked]
    if after is OLD and mark in ("etag", "last-modified"):
        assert ranges == [None, "bytes=700-"]  # a gigabyte is long


@pytest.mark.parametrize("size", [None, 2048])
def test_a_server_that_begins_anew_and_breaks_off_each_time_is_given_up(tmp_path: Path, size: int | None) -> None:
    """It has neither marks nor ranges: what came is not the beginning of more."""
    tag, reply = None if size else tmp_path / "x.version", Reply(body=OLD[:700], length="2048")
    with (
        odd_hub(lambda _path, _headers: _closing(reply)) as odd,
        (tmp_path / "x").open("ab") as stream,
        pytest.raises(FetchError, match="the file"),
    ):
        transfer.download(f"{odd.url}/x", stream, "the file", limit=4096, size=size, tag=tag)

    assert len(odd.asked) == 1 + transfer.TRIES


def test_a_part_that_was_not_asked_for_is_refused_and_not_asked_for_again(tmp_path: Path) -> None:
    part, none = _closing(Reply(206, OLD[:700], {"etag": '"1"'})), _closing(Reply(404))
    with (
        odd_hub(lambda _path, _headers: part if len(odd.asked) < 5 else none) as odd,
        pytest.raises(FetchError, match="sends a part, and was asked for the whole file"),
    ):
        fetch.download_url(f"{odd.url}/epoch_10.pt", tmp_path / "epoch_10.pt", "")

    assert len(odd.asked) == 1


def test_a_part_behind_which_nothing_is_left_is_fetched_anew_and_a_whole_file_is_asked_for_once(tmp_path: Path) -> None:
    """416 (RFC 9110): the file is no longer than the part, which may be of another version."""
    target = tmp_path / "epoch_10.pt"
    partial = fetch.partial_of(target)
    partial.write_bytes(NEW)
    partial.with_name(f"{partial.name}.version").write_text('"1"')
    none, whole = Reply(416), Reply(body=OLD, headers={"etag": '"2"'})
    with odd_hub(lambda _path, headers: none if "range" in headers else whole) as odd:
        fetch.download_url(f"{odd.url}/epoch_10.pt", target, "")
    assert (target.read_bytes(), len(odd.asked)) == (OLD, 2)

    with (
        odd_hub(lambda _path, _headers: none if len(odd.asked) < 5 else whole) as odd,
        pytest.raises(FetchError, match="HTTP 416"),
    ):
        fetch.download_url(f"{odd.url}/epoch_10.pt", tmp_path / "another.pt", "")
    assert len(odd.asked) == 1


def _interrupted(_: float) -> None:
    raise KeyboardInterrupt


def _closing(reply: Reply) -> Reply:
    return Reply(reply.status, reply.body, {**reply.headers, "connection": "close"}, reply.length)


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
