"""What a hub, a mirror, a proxy or a login page may answer: each is told with its reason and the fix."""

import json
from pathlib import Path
from typing import Any

import pytest

from layer.errors import BuildError, FetchError
from layer.network import environment, transfer
from layer.sources import fetch, hub
from tests.hub.odd import COMMIT, PAGE, Reply, about, forget, serving


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)
    monkeypatch.setattr(transfer, "sleep", lambda _: None)


def with_body(data: Any) -> Reply:
    return Reply(body=json.dumps(data).encode())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (PAGE, r"answers with a web page \('Sign in to \[31m Hotel'\) in place of the hub's JSON"),
        (Reply(body=b""), "the response is not the hub's JSON. Check HF_ENDPOINT"),
        (Reply(body=b"[" * 100_000), "the response is not the hub's JSON"),
        (with_body([1]), "is not the hub's about a repository"),
        (with_body({}), "the hub names no commit"),
        (about(sha="../../../tmp"), "is not a commit: one is 40 hexadecimal digits"),
        (about(sha="main"), "is not a commit"),
        (about(sha=["a"]), "is not a commit"),
        (about(sha=COMMIT + "\n"), "is not a commit"),
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


def test_a_token_is_not_sent_in_plain_text_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    assert environment.token_headers("http://mirror.example/api") == {}
    assert environment.token_headers("https://mirror.example/api") == {"authorization": "Bearer hf_secret"}


def test_a_server_that_asks_to_wait_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(transfer, "sleep", slept.append)
    replies = [Reply(429, headers={"retry-after": "7"}), Reply(503), about()]

    with serving(monkeypatch, lambda _path, _headers: replies.pop(0)):
        assert hub.repository("acme/tiny", None).commit == COMMIT
    assert slept == [7, 1]


@pytest.mark.parametrize(
    ("reply", "tries"),
    [
        *((Reply(status), 1) for status in (401, 403, 404, 500)),  # as another try would be answered
        *((Reply(status), 3) for status in (408, 429, 502, 503, 504)),  # RFC 9110 and 6585: these may pass
        (Reply(503, headers={"retry-after": "30"}), 3),
        (Reply(503, headers={"retry-after": "31"}), 1),  # the user decides about a longer wait
    ],
)
def test_what_may_pass_by_itself_is_asked_for_three_times_and_all_else_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reply: Reply, tries: int
) -> None:
    with serving(monkeypatch, reply) as odd:
        with pytest.raises(BuildError):
            hub.repository("acme/tiny", None)
        assert len(odd.asked) == tries
        with (tmp_path / "file").open("wb") as stream, pytest.raises(BuildError):
            transfer.download(f"{odd.url}/file", stream, "the file", limit=100)
        assert len(odd.asked) == 2 * tries


def test_a_response_that_breaks_off_is_asked_for_again_and_given_up_after_three_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut = Reply(body=about().body[:50], headers={"connection": "close"}, length="500")
    replies = [cut, cut, about(), cut, cut, cut]
    with serving(monkeypatch, lambda _path, _headers: replies.pop(0)) as odd:
        assert hub.repository("acme/tiny", None).commit == COMMIT
        with pytest.raises(BuildError, match="acme/tiny"):
            hub.repository("acme/tiny", "v2")
    assert len(odd.asked) == 6


def test_the_hub_is_asked_once_for_a_repository_at_a_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch, about(cardData={"license": ["mit", "apache-2.0"]}), "/hf/") as odd:
        for _ in range(3):
            assert hub.repository("acme/tiny", "v1").license == "mit, apache-2.0"

    assert [path for path, _ in odd.asked] == ["/hf/api/models/acme/tiny/revision/v1?blobs=true"]


def test_another_commit_is_not_taken_in_the_place_of_the_one_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a mirror that has one state of each repository, and answers with that whatever the address ends in."""
    with serving(monkeypatch, about()):
        assert hub.repository("acme/tiny", COMMIT).commit == COMMIT
        assert hub.repository("acme/tiny", "v1").commit == COMMIT
        with pytest.raises(FetchError, match=rf"at {'a' * 40} from .*: the response is about commit {COMMIT}"):
            hub.repository("acme/tiny", "a" * 40)


@pytest.mark.parametrize("repo", ["../../etc", "/etc/passwd", "a/b/c", "a?b=c", "x\ny"])
def test_what_a_config_names_becomes_no_url_and_no_path_unless_it_is_a_repository(repo: str) -> None:
    with pytest.raises(BuildError, match="is not a repository id"):
        hub.repository(repo, None)
    with pytest.raises(BuildError, match="is not a repository id"):
        fetch.repo_folder(repo)
