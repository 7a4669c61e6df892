"""A download that stops and goes on: the rest is asked for, and only of the version of which a part is there."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from layer.errors import FetchError
from layer.network import transfer
from layer.sources import fetch
from layer.sources.expected import Expected
from layer.sources.resolve import Need
from tests.hub.odd import COMMIT, PAGE, Reply, closing, forget, odd_hub, serving


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    monkeypatch.setattr(transfer, "sleep", lambda _: None)


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
            return closing(Reply(206, body[start:], {**told, "content-range": f"bytes {start}-2047/2048"}))
        if content[0] is OLD and len(odd.asked) == 1:
            content[0] = after
            return closing(Reply(body=OLD[:700], headers=told, length="2048"))  # and the connection breaks
        return closing(Reply(body=body, headers=told))

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
    assert not any(headers.get("if-range", "").startswith("W/") for _, headers in odd.asked)  # RFC 9110, 13.1.5
    ranges = [headers.get("range") for _, headers in odd.asked]
    if after is OLD and mark in ("etag", "last-modified"):
        assert ranges == [None, "bytes=700-"]  # a gigabyte is long


def test_what_is_there_of_an_address_survives_a_login_page(tmp_path: Path) -> None:
    def answer(_path: str, headers: Mapping[str, str]) -> Reply:
        told = {"etag": '"1"'}
        if len(odd.asked) == 1:
            return closing(Reply(body=OLD[:700], headers=told, length="2048"))
        if len(odd.asked) == 2:
            return closing(Reply(body=PAGE.body, headers={**PAGE.headers, "etag": '"page"'}))
        assert headers.get("if-range") == '"1"'
        return closing(Reply(206, OLD[700:], {**told, "content-range": "bytes 700-2047/2048"}))

    with odd_hub(answer) as odd:
        target = tmp_path / "epoch_10.pt"
        with pytest.raises(FetchError, match="login page"):
            fetch.download_url(f"{odd.url}/epoch_10.pt", target, "")
        fetch.download_url(f"{odd.url}/epoch_10.pt", target, "")
    assert target.read_bytes() == OLD
    assert [headers.get("range") for _, headers in odd.asked] == [None, "bytes=700-", "bytes=700-"]


@pytest.mark.parametrize("size", [None, 2048])
def test_a_server_that_begins_anew_and_breaks_off_each_time_is_given_up(tmp_path: Path, size: int | None) -> None:
    """It has neither marks nor ranges: what came is not the beginning of more."""
    tag, reply = None if size else tmp_path / "x.version", Reply(body=OLD[:700], length="2048")
    with (
        odd_hub(lambda _path, _headers: closing(reply)) as odd,
        (tmp_path / "x").open("ab") as stream,
        pytest.raises(FetchError, match="the file"),
    ):
        transfer.download(f"{odd.url}/x", stream, "the file", limit=4096, size=size, tag=tag)

    assert len(odd.asked) == 1 + transfer.TRIES


@pytest.mark.parametrize("told", [{"etag": '"1"'}, {}, {"content-range": "bytes 0-699/2048"}])
def test_a_part_that_was_not_asked_for_is_refused_and_not_asked_for_again(tmp_path: Path, told: dict[str, str]) -> None:
    part, none = closing(Reply(206, OLD[:700], told)), closing(Reply(404))
    with (
        odd_hub(lambda _path, _headers: part if len(odd.asked) < 5 else none) as odd,
        pytest.raises(FetchError, match="sends a part, and was asked for the whole file"),
    ):
        fetch.download_url(f"{odd.url}/epoch_10.pt", tmp_path / "epoch_10.pt", "")

    assert len(odd.asked) == 1


@pytest.mark.parametrize("size", [None, 2048])
def test_a_part_that_ends_before_the_file_does_is_not_taken_for_its_end(tmp_path: Path, size: int | None) -> None:
    """RFC 9110, 15.3.7: a server may send fewer bytes than the range that it was asked for has."""

    def answer(_path: str, headers: Mapping[str, str]) -> Reply:
        start = int(headers["range"].removeprefix("bytes=").rstrip("-"))
        end = min(start + 500, len(OLD))
        told = {"etag": '"1"', "content-range": f"bytes {start}-{end - 1}/2048"}
        return closing(Reply(206, OLD[start:end], told))

    target, tag = tmp_path / "x", tmp_path / "x.version"
    target.write_bytes(OLD[:700])
    tag.write_text('"1"')
    with odd_hub(answer) as odd, target.open("ab") as stream:
        announced = transfer.download(f"{odd.url}/x", stream, "it", limit=4096, size=size, tag=tag)

    assert (announced.size, target.read_bytes(), len(odd.asked)) == (2048, OLD, 3)


def test_a_server_that_sends_no_more_of_a_file_is_given_up(tmp_path: Path) -> None:
    target, tag = tmp_path / "x", tmp_path / "x.version"
    target.write_bytes(OLD[:700])
    tag.write_text('"1"')
    nothing = closing(Reply(206, b"", {"etag": '"1"', "content-range": "bytes 700-699/2048"}))
    with (
        odd_hub(lambda _path, _headers: nothing) as odd,
        target.open("ab") as stream,
        pytest.raises(FetchError, match="700 of 2048 bytes were sent"),
    ):
        transfer.download(f"{odd.url}/x", stream, "it", limit=4096, tag=tag)

    assert (len(odd.asked), target.read_bytes()) == (transfer.TRIES, OLD[:700])


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


@pytest.mark.parametrize(("ranged", "left", "asked"), [(True, 0, 2), (False, 0, 2), (True, 30, 2), (True, 50, 3)])
def test_a_file_that_is_too_short_is_told_at_once_where_its_length_is_not_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ranged: bool, left: int, asked: int
) -> None:
    """The rest is asked for, as the connection may have broken, and the server says that there is none."""

    def answer(_path: str, headers: Mapping[str, str]) -> Reply:
        start = int(headers.get("range", "bytes=0-")[6:-1]) if ranged else 0
        if start == 30:
            return closing(Reply(206, OLD[30:50], {"content-range": "bytes 30-49/*"}, length=""))
        return closing(Reply(416) if start else Reply(body=OLD[:50], length=""))

    folder = tmp_path / "hub"
    want = {"config.json": Expected(100, "0" * 64)}
    located = fetch.Located(Need("acme/tiny", ("config",)), None, COMMIT, None, folder, want)
    folder.mkdir()
    if left:
        fetch.partial_of(folder / "config.json").write_bytes(OLD[:left])
    says = "config.json of acme/tiny has 50 bytes, the hub says 100: it was removed"
    with serving(monkeypatch, answer) as odd, pytest.raises(FetchError, match=says):
        fetch.download(located, "config.json", lambda _: None)
    assert len(odd.asked) == asked
    assert [*folder.iterdir()] == []


def _interrupted(_: float) -> None:
    raise KeyboardInterrupt
