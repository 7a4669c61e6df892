"""A busy API is asked again, when it says and not for ever."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from openclip_lambda import exchange
from openclip_lambda.api import Api
from openclip_lambda.errors import ResponseError

from tests.unit.client.conftest import Scripted


def ask(url: str) -> Any:
    return Api(url).post("/v1/embeddings", {"input": ["a"]})


def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record what is slept instead of sleeping."""
    slept: list[float] = []
    monkeypatch.setattr(exchange, "PAUSES", (0.5, 1.0, 2.0, 4.0))
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize(
    ("value", "pauses"),
    [
        ("7", [7, 7, 7, 7]),
        ("0", [0.5, 1, 2, 4]),
        ("1.5", [1.5, 1.5, 2, 4]),
        ("soon", [0.5, 1, 2, 4]),
        ("-5", [0.5, 1, 2, 4]),
        ("60", [60] * 4),
        ("61", []),
        ("999999999", []),
    ],
)
def test_a_busy_api_is_asked_again_when_it_says(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, value: str, pauses: list[float]
) -> None:
    slept = waits(monkeypatch)
    scripted.always(429, b'{"message": "Too Many Requests"}', retry_after=value)
    with pytest.raises(ResponseError, match="answered 429: Too Many Requests") as caught:
        ask(scripted.url)
    assert slept == pauses
    assert len(scripted.requests) == len(pauses) + 1
    assert ("It asks to wait" in str(caught.value)) == (not pauses)


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"])
def test_the_date_to_ask_again_at_is_understood(scripted: Scripted, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """In each form that a date has in HTTP (RFC 9110, 5.6.7), all of which are in GMT."""
    slept = waits(monkeypatch)
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=50)
    scripted.always(503, b"{}", retry_after=at.strftime(form))
    before = datetime.now(UTC)
    with pytest.raises(ResponseError):
        ask(scripted.url)
    assert (at - datetime.now(UTC)).total_seconds() <= slept[0] <= (at - before).total_seconds()
    assert slept[0] > 10  # more than any pause of its own


def test_a_connection_that_is_lost_is_worth_another_try(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = waits(monkeypatch)
    there = Api(scripted.url)
    assert there.get("/health") == {}
    scripted.always(200, b"{}", content_length="100", connection="close")
    with pytest.raises(ResponseError):
        there.get("/health")
    assert len(slept) == 4


def test_a_server_that_is_not_there_yet_is_waited_for_and_one_that_never_will_be_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept = waits(monkeypatch)
    with pytest.raises(ResponseError, match="nothing listens there"):
        ask("http://127.0.0.1:1")
    assert slept == [0.5, 1, 2, 4]
    with pytest.raises(ResponseError, match="nothing listens there"):
        Api("http://127.0.0.1:1").get("/health")  # which asks what is there now
    with pytest.raises(ResponseError, match="no such host"):
        ask("https://nobody.invalid")
    assert len(slept) == 4
