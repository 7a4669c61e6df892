"""What a hub, a mirror, a proxy or a login page may answer: each is told with its reason and the fix, and bounded."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from layer import fetch, hub, network, transfer
from layer.errors import BuildError, FetchError
from layer.fetch import Expected, Located
from layer.plan import Need
from tests.hub.odd import COMMIT, Odd, Reply, about, odd_hub

TRACES = ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
PAGE = Reply(body=b"<!DOCTYPE html><title>Sign in to\x1b[31m Hotel</title>", headers={"content-type": "text/html"})


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*TRACES, *network.PROXIES, *(name.lower() for name in network.PROXIES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(network, "_client", None)
    monkeypatch.setattr(hub, "_known", {})
    monkeypatch.setattr(transfer, "sleep", lambda _: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))


@contextmanager
def serving(
    monkeypatch: pytest.MonkeyPatch, answer: Reply | Callable[[str, Mapping[str, str]], Reply], path: str = ""
) -> Iterator[Odd]:
    with odd_hub(answer if callable(answer) else lambda _path, _headers: answer) as odd:
        monkeypatch.setenv("HF_ENDPOINT", odd.url + path)
        yield odd


def located(folder: Path, size: int | None, sha256: str | None = None, name: str = "config.json") -> Located:
    expected = {name: Expected(size, sha256)}
    return Located(Need("acme/tiny", ("config",)), None, COMMIT, None, folder / "hub" / COMMIT, expected)


def take(folder: Path, size: int | None, sha256: str | None = None, name: str = "config.json") -> bytes:
    one = located(folder, size, sha256, name)
    fetch.download(one, name, lambda _: None)
    return (one.folder / name).read_bytes()


def with_body(data: Any) -> Reply:
    return Reply(body=json.dumps(data).encode())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (PAGE, r"answers with a web page \('Sign in to \[31m Hotel'\) in place of the hub's JSON"),
        (Reply(body=b""), "the answer is not the hub's JSON. Check HF_ENDPOINT"),
        (Reply(body=b"[" * 100_000), "the answer is not the hub's JSON"),
        (with_body([1]), "is not the hub's about a repository"),
        (with_body({}), "the hub names no commit"),
        (about(sha="../../../tmp"), "is no commit: one is 40 hexadecimal digits"),
        (about(sha="main"), "is no commit"),
        (about(sha=["a"]), "is no commit"),
        (about(sha=COMMIT + "\n"), "is no commit"),
        (about(siblings={"rfilename": 1}), "cannot be used"),
        (about(siblings=[1]), "cannot be used"),
        (Reply(301, headers={"location": "/api/models/acme/tiny?blobs=true"}), "in a circle"),
        (Reply(302, headers={"location": "file:///etc/passwd"}), "an address that cannot be followed"),
        (Reply(400, b"no"), r"was refused by http.*HTTP 400"),
        (Reply(401, b'{"error": "Invalid credentials"}'), "asks for a token: if it is private or gated, set HF_TOKEN"),
        (Reply(403, b"<html>"), "may not be read: if it is private or gated, set HF_TOKEN .*HTTP 403"),
        (
            Reply(404, b"<html>"),
            r"is not there: check the name, and that http://127.0.0.1:\d+ \(HF_ENDPOINT\) is a hub's",
        ),
        (Reply(407), "was refused by the proxy.* set HTTPS_PROXY=http://user:password@host:port"),
        (Reply(429, headers={"retry-after": "120"}), "asked too often: try again in 120 seconds; with HF_TOKEN"),
        (Reply(500), "was refused by the hub: try again later .*HTTP 500"),
        (Reply(503), "was refused by the hub: try again later .*HTTP 503"),
        (
            Reply(404, headers={"x-error-code": "RepoNotFound"}),
            "is not there, or is private: check the name, or set HF_TOK",
        ),
        (Reply(403, headers={"x-error-code": "GatedRepo"}), "is gated: accept its terms"),
        (Reply(404, headers={"x-error-message": "a\x07b" + "x" * 999}), r"a bx{190,200}\.\.\."),
    ],
    ids=range(24),
)
def test_what_is_no_answer_of_the_hub_says_why_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, answer: Reply, says: str
) -> None:
    with serving(monkeypatch, answer), pytest.raises(FetchError, match=says) as caught:
        hub.repository("acme/tiny", None)

    assert str(caught.value).startswith("acme/tiny at its default branch from http://127.0.0.1:")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Reply(401, b'{"error": "Invalid credentials"}'), "HF_TOKEN is not valid, or has expired"),
        (
            Reply(403, b"{}"),
            "check what HF_TOKEN may read; a fine-grained token needs the right to read this repository",
        ),
        (Reply(404, headers={"x-error-code": "RepoNotFound"}), "whether HF_TOKEN may read it; a fine-grained token"),
        (Reply(403, headers={"x-error-code": "GatedRepo"}), "as the user of HF_TOKEN; a fine-grained token"),
    ],
)
def test_with_a_token_the_token_is_named_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, answer: Reply, says: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", " hf_secret\n")
    with serving(monkeypatch, answer) as odd, pytest.raises(FetchError, match=says) as caught:
        hub.repository("acme/tiny", None)

    assert odd.asked[0][1]["authorization"] == "Bearer hf_secret"
    assert "hf_secret" not in str(caught.value)


def test_a_token_follows_no_redirect_to_another_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with odd_hub(lambda _path, _headers: Reply(body=b"{}")) as other:
        elsewhere = Reply(302, headers={"location": other.url.replace("127.0.0.1", "localhost") + "/cdn/x"})
        with serving(monkeypatch, elsewhere) as first:
            assert take(tmp_path, 2) == b"{}"

    assert first.asked[0][1]["authorization"] == "Bearer hf_secret"
    assert [("authorization" in headers) for _, headers in other.asked] == [False]


def test_a_token_is_not_sent_in_plain_text_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    assert network.token_headers("http://mirror.example/api") == {}
    assert network.token_headers("https://mirror.example/api") == {"authorization": "Bearer hf_secret"}


def test_an_answer_and_a_small_file_of_gigabytes_are_not_read_to_their_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(transfer, "MAX_ANSWER", 10_000)
    with serving(monkeypatch, Reply(body=b" " * 50_000)), pytest.raises(FetchError, match="the answer is longer than"):
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

    for name, left in (("a part", body[:700]), ("other bytes", b"y" * 700), ("too much", b"z" * 9000)):
        partial = located(tmp_path / name, len(body)).folder / "config.json.partial"
        partial.parent.mkdir(parents=True)
        partial.write_bytes(left)
        with serving(monkeypatch, Reply(body=body)):  # which knows no ranges, and answers 200
            assert take(tmp_path / name, len(body), digest) == body


def _closing(reply: Reply) -> Reply:
    return Reply(reply.status, reply.body, {**reply.headers, "connection": "close"}, reply.length)


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setattr(network, "_client", None)
    monkeypatch.setattr(transfer, "WINDOW_SECONDS", 0.3)
    monkeypatch.setattr(transfer, "ANSWER_SECONDS", 0.3)
    drip = Reply(body=b" " * 1000, pause=lambda: time.sleep(0.02))

    with serving(monkeypatch, drip), pytest.raises(FetchError, match="has nearly stopped"):
        take(tmp_path, 1000)
    with serving(monkeypatch, drip), pytest.raises(FetchError, match="the answer takes longer than"):
        hub.repository("acme/tiny", None)


def test_a_server_that_asks_to_wait_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(transfer, "sleep", slept.append)
    replies = [Reply(429, headers={"retry-after": "7"}), Reply(503), about()]

    with serving(monkeypatch, lambda _path, _headers: replies.pop(0)):
        assert hub.repository("acme/tiny", None).commit == COMMIT
    assert slept == [7, 1]


def test_the_hub_is_asked_once_for_a_repository_at_a_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch, about(cardData={"license": ["mit", "apache-2.0"]}), "/hf/") as odd:
        for _ in range(3):
            assert hub.repository("acme/tiny", "v1").license == "mit, apache-2.0"

    assert [path for path, _ in odd.asked] == ["/hf/api/models/acme/tiny/revision/v1?blobs=true"]


@pytest.mark.parametrize("repo", ["../../etc", "/etc/passwd", "a/b/c", "a?b=c", "x\ny"])
def test_what_a_config_names_becomes_no_url_and_no_path_unless_it_is_a_repository(repo: str) -> None:
    with pytest.raises(BuildError, match="is no repository id"):
        hub.repository(repo, None)
    with pytest.raises(BuildError, match="is no repository id"):
        fetch.repo_folder(repo)


def test_without_a_network_a_build_says_so_before_it_imports_torch(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text('[[model]]\nname = "hf-hub:acme/tiny"\n')
    arguments = ["build", "--models", str(tmp_path / "models.toml"), "--output", str(tmp_path / "bundle")]
    code = (
        f"import sys\nfrom layer.cli import main\nstatus = main({[*arguments, '--cache', str(tmp_path / 'cache')]!r})\n"
        "print(status, sorted({'torch', 'open_clip', 'transformers'} & set(sys.modules)))"
    )
    environ = {"PATH": "", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}

    run = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)

    assert run.stdout == "1 []\n", run.stderr
    for name in ("cannot be reached", "HTTPS_PROXY", "HF_ENDPOINT"):
        assert name in run.stderr
    assert not (tmp_path / "bundle").exists()
