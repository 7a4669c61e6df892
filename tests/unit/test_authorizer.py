"""The API key's authorizer: who is let through, and how soon a new key counts."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

KEY = "k" * 48


class Clock:
    """A time.monotonic() that a test turns."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def authorizer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module with a stubbed Secrets Manager: `secrets(...)` queues what it will answer."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:key")
    from infra.functions.authorizer import index

    monkeypatch.setattr(index, "_cached", ("", float("-inf")))
    monkeypatch.setattr(index, "time", Clock())
    with Stubber(index._secrets) as stubber:
        index.stub = stubber  # type: ignore[attr-defined]
        yield index


def answer(authorizer: Any, key: str = KEY) -> None:
    authorizer.stub.add_response(
        "get_secret_value", {"SecretString": key}, {"SecretId": authorizer.os.environ["SECRET_ARN"]}
    )


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


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", KEY, f"Basic {KEY}", f"Bearer{KEY}"])
def test_what_is_no_bearer_token_is_refused_without_reading_the_key(authorizer: Any, authorization: str | None) -> None:
    assert allowed(authorizer, authorization) is False


@pytest.mark.parametrize(
    "token", [KEY[:-1], KEY + "k", KEY.upper(), f"{KEY} {KEY}", "schlüssel", base64.b64encode(KEY.encode()).decode()]
)
def test_another_token_is_refused(authorizer: Any, token: str) -> None:
    answer(authorizer)

    assert allowed(authorizer, f"Bearer {token}") is False


def test_a_replaced_key_counts_within_seconds_and_guessing_costs_no_lookups(authorizer: Any) -> None:
    answer(authorizer)
    assert [allowed(authorizer, "Bearer new-key") for _ in range(50)] == [False] * 50
    answer(authorizer, "new-key")
    authorizer.time.now += 6

    assert allowed(authorizer, "Bearer new-key") is True
    assert allowed(authorizer, f"Bearer {KEY}") is False


def test_a_replaced_key_ends_within_a_minute(authorizer: Any) -> None:
    answer(authorizer)
    assert allowed(authorizer, f"Bearer {KEY}") is True
    answer(authorizer, "new-key")
    authorizer.time.now += 61

    assert allowed(authorizer, f"Bearer {KEY}") is False


def test_when_the_key_cannot_be_read_nobody_is_let_through(authorizer: Any) -> None:
    authorizer.stub.add_client_error("get_secret_value", "InternalServiceError")

    with pytest.raises(Exception, match="InternalServiceError"):  # API Gateway answers 500 and calls nothing
        authorizer.handler(request(f"Bearer {KEY}"), None)
