"""The API key's authorizer: who is let through, and how soon a new key counts."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

KEY = "k" * 48
NEW = "n" * 48


ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:key"
WINDOW = 600  # seconds


class Clock:
    """The `time` module, which a test turns."""

    now = 1_800_000_000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


@pytest.fixture
def authorizer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module with a stubbed Secrets Manager: `answer(...)` queues what it will answer."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("SECRET_ARN", ARN)
    monkeypatch.setenv("PREVIOUS_KEY_SECONDS", str(WINDOW))
    from infra.functions.authorizer import index

    monkeypatch.setattr(index, "_keys", None)
    monkeypatch.setattr(index, "_failed", None)
    monkeypatch.setattr(index, "_lookups", float(index.LOOKUPS))
    monkeypatch.setattr(index, "_refilled_at", Clock.now)
    monkeypatch.setattr(index, "time", Clock())
    with Stubber(index._secrets) as stubber:
        index.stub = stubber  # type: ignore[attr-defined]
        yield index
        stubber.assert_no_pending_responses()


def answer(authorizer: Any, key: str = KEY, age: float = 1e6) -> None:
    """Let the current version be this key, made `age` seconds ago."""
    made = datetime.fromtimestamp(authorizer.time.now - age, UTC)
    authorizer.stub.add_response("get_secret_value", {"SecretString": key, "CreatedDate": made}, {"SecretId": ARN})


def answer_previous(authorizer: Any, key: str | None) -> None:
    """Let the version before the current one be this key, or let there be none."""
    asked = {"SecretId": ARN, "VersionStage": "AWSPREVIOUS"}
    if key is None:
        authorizer.stub.add_client_error("get_secret_value", "ResourceNotFoundException", expected_params=asked)
    else:
        authorizer.stub.add_response("get_secret_value", {"SecretString": key}, asked)


def request(authorization: str | None) -> dict[str, Any]:
    """An event of a Lambda authorizer, payload 2.0: header names come in lower case."""
    headers = {} if authorization is None else {"authorization": authorization}
    return {"version": "2.0", "type": "REQUEST", "routeKey": "POST /v1/embeddings", "headers": headers}


def allowed(authorizer: Any, authorization: str | None) -> bool:
    found = authorizer.handler(request(authorization), None)
    assert set(found) == {"isAuthorized"}
    return bool(found["isAuthorized"])


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_key_is_let_through_and_read_once(authorizer: Any, scheme: str) -> None:
    answer(authorizer)

    assert [allowed(authorizer, f"{scheme} {KEY}") for _ in range(3)] == [True] * 3


def in_path(authorizer: Any, key: str | None, route: str = "POST /k/{key}/vectorize", **headers: str) -> bool:
    event = {"version": "2.0", "routeKey": route, "headers": headers, "pathParameters": {"key": key} if key else None}
    return bool(authorizer.handler(event, None)["isAuthorized"])


def test_the_key_may_stand_in_the_path_of_a_route_that_has_one_there(authorizer: Any) -> None:
    answer(authorizer)
    assert in_path(authorizer, KEY)
    for wrong in (KEY[:-1], f"Bearer {KEY}"):
        answer(authorizer)  # looked up again before the denial, as for a header
        assert not in_path(authorizer, wrong)
    assert not in_path(authorizer, None)
    assert not in_path(authorizer, "", authorization=f"Bearer {KEY}")


def test_on_any_other_route_the_path_counts_for_nothing(authorizer: Any) -> None:
    assert not in_path(authorizer, KEY, route="POST /v1/embeddings")


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", KEY, f"Basic {KEY}", f"Bearer{KEY}"])
def test_what_is_no_bearer_token_is_refused_without_reading_the_key(authorizer: Any, authorization: str | None) -> None:
    assert allowed(authorizer, authorization) is False


@pytest.mark.parametrize(
    "token", [KEY[:-1], KEY + "k", KEY.upper(), f"{KEY} {KEY}", "schlüssel", base64.b64encode(KEY.encode()).decode()]
)
def test_another_token_is_refused(authorizer: Any, token: str) -> None:
    answer(authorizer)

    assert allowed(authorizer, f"Bearer {token}") is False


def test_a_new_key_counts_at_once_right_after_the_old_one_was_read(authorizer: Any) -> None:
    answer(authorizer)
    assert allowed(authorizer, f"Bearer {KEY}") is True
    answer(authorizer, NEW, age=0)
    answer_previous(authorizer, KEY)

    assert allowed(authorizer, f"Bearer {NEW}") is True


def test_the_previous_key_is_let_through_for_the_window_and_no_longer(authorizer: Any) -> None:
    answer(authorizer, NEW, age=WINDOW - 30)
    answer_previous(authorizer, KEY)
    assert [allowed(authorizer, f"Bearer {key}") for key in (NEW, KEY)] == [True, True]

    authorizer.time.now += 31
    answer(authorizer, NEW, age=WINDOW + 1)  # looked up again before the denial, and the previous one not any more
    assert allowed(authorizer, f"Bearer {KEY}") is False
    assert allowed(authorizer, f"Bearer {NEW}") is True


def test_without_a_window_the_previous_key_ends_with_what_is_kept_in_memory(
    authorizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREVIOUS_KEY_SECONDS", "0")
    answer(authorizer)
    assert allowed(authorizer, f"Bearer {KEY}") is True
    authorizer.time.now += 61
    answer(authorizer, NEW, age=60)

    assert allowed(authorizer, f"Bearer {KEY}") is False


def test_a_secret_that_was_never_replaced_has_no_previous_key(authorizer: Any) -> None:
    answer(authorizer, age=1)
    answer_previous(authorizer, None)
    assert allowed(authorizer, f"Bearer {KEY}") is True


@pytest.mark.parametrize("key", [" ", "\n"])
def test_an_empty_secret_lets_nobody_through(authorizer: Any, key: str) -> None:
    answer(authorizer, key, age=1)
    answer_previous(authorizer, key)
    assert allowed(authorizer, "Bearer \x00") is False


def test_a_key_that_was_put_with_the_newline_of_its_file_counts(authorizer: Any) -> None:
    answer(authorizer, KEY + "\n")
    assert allowed(authorizer, f"Bearer {KEY}") is True


def test_20_000_guesses_cost_a_handful_of_lookups_and_find_a_new_key_meanwhile(authorizer: Any) -> None:
    for _ in range(authorizer.LOOKUPS):
        answer(authorizer)
    assert not any(allowed(authorizer, f"Bearer guess-{number}") for number in range(20_000))
    authorizer.stub.assert_no_pending_responses()

    authorizer.time.now += 0.25  # a fifth of a second later there is one lookup again, whoever asks
    answer(authorizer, NEW, age=0)
    answer_previous(authorizer, KEY)
    assert allowed(authorizer, "Bearer another-guess") is False
    assert [allowed(authorizer, f"Bearer {key}") for key in (NEW, KEY)] == [True, True]


def test_a_key_that_cannot_be_read_is_an_exception_which_is_answered_with_500_and_never_a_denial(
    authorizer: Any,
) -> None:
    for code in ("AccessDeniedException", "InternalServiceError", "DecryptionFailure", "ThrottlingException"):
        authorizer.stub.add_client_error("get_secret_value", code)
        with pytest.raises(authorizer.SecretUnavailableError, match=f"cannot be read from arn:.*{code}"):
            authorizer.handler(request(f"Bearer {KEY}"), None)
    answer(authorizer)
    assert allowed(authorizer, f"Bearer {KEY}") is True  # and is right again with the first lookup that is


def test_while_the_key_cannot_be_read_the_known_one_serves_on_for_a_minute_and_no_stranger_is_denied(
    authorizer: Any,
) -> None:
    answer(authorizer)
    assert allowed(authorizer, f"Bearer {KEY}") is True
    for _ in range(authorizer.LOOKUPS - 1):
        authorizer.stub.add_client_error("get_secret_value", "InternalServiceError")
    for _ in range(50):  # it may be a new key: to deny it would be a guess, and there are no 50 lookups either
        with pytest.raises(authorizer.SecretUnavailableError):
            authorizer.handler(request(f"Bearer {NEW}"), None)
        assert allowed(authorizer, f"Bearer {KEY}") is True

    authorizer.time.now += 61
    authorizer.stub.add_client_error("get_secret_value", "InternalServiceError")
    with pytest.raises(authorizer.SecretUnavailableError):
        authorizer.handler(request(f"Bearer {KEY}"), None)


def test_a_secret_of_bytes_is_named_as_the_mistake_that_it_is(authorizer: Any) -> None:
    authorizer.stub.add_response("get_secret_value", {"SecretBinary": KEY.encode()}, {"SecretId": ARN})

    with pytest.raises(authorizer.SecretUnavailableError, match="put the key as SecretString"):
        authorizer.handler(request(f"Bearer {KEY}"), None)


def test_each_refusal_leaves_one_line_with_a_code_and_a_metric_and_nothing_of_the_key(
    authorizer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "openclip-authorizer")
    answer(authorizer)
    assert allowed(authorizer, f"Bearer {KEY}") is True
    answer(authorizer)
    assert allowed(authorizer, f"Bearer {NEW}") is False
    assert allowed(authorizer, "Basic abc") is False
    authorizer.stub.add_client_error("get_secret_value", "AccessDeniedException")
    with pytest.raises(authorizer.SecretUnavailableError):
        authorizer.handler(request(f"Bearer {NEW}"), None)

    said = capsys.readouterr().out
    wrong, missing, unread = [json.loads(line) for line in said.splitlines()]

    assert [line["Code"] for line in (wrong, missing, unread)] == ["key_refused", "key_refused", "key_unavailable"]
    assert (wrong["level"], unread["level"]) == ("INFO", "ERROR")
    for line in (wrong, missing, unread):
        assert line["Rejected"] == 1
        [directive] = line["_aws"]["CloudWatchMetrics"]  # AWS: "Embedded metric format specification"
        assert directive["Dimensions"] == [["FunctionName", "Code"]]
        assert directive["Metrics"] == [{"Name": "Rejected", "Unit": "Count"}]
    assert KEY not in said
    assert NEW not in said
