"""Whatever a server answers and a user pastes: a result, or an error of the client's own."""

import contextlib
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st
from openclip_lambda import address, credentials, formats
from openclip_lambda.errors import ClientError, ResponseError
from openclip_lambda.responses import Results

NUMBERS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.just(10**400), st.text(max_size=3))
KEYS = st.sampled_from(["data", "index", "embedding", "predictions", "label", "score", "model"])
JSON: Any = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
DATA = st.lists(st.fixed_dictionaries({}, optional={"index": NUMBERS, "embedding": JSON, "predictions": JSON}))
RESPONSES = st.one_of(JSON, st.fixed_dictionaries({"data": DATA}, optional={"model": JSON}))
# Texts in which the parts of addresses are as likely as any letter.
PARTS = st.sampled_from(
    ["http:", "https:", "//", "/", "@", "[", "]", "::1", "localhost", "127.0.0.1", "?", "#", "%", ":8"]
)
PASTED = st.lists(st.one_of(PARTS, st.text(max_size=3)), max_size=8).map("".join)


@given(RESPONSES, st.integers(0, 2))
def test_a_response_is_read_or_refused(response: Any, count: int) -> None:
    with contextlib.suppress(ResponseError):
        assert len(Results().embeddings(response, count)) == count
    with contextlib.suppress(ResponseError):
        assert len(Results().scores(response, count, ["a", "b"])) == count


@given(PASTED)
def test_an_address_is_one_that_a_request_can_be_made_of_and_stays_the_same_when_it_is_read_again(text: str) -> None:
    try:
        base = address.base_url(text)
    except ClientError:
        return
    parts = urlsplit(base)
    assert parts.scheme == "https" or address.is_local(parts.hostname or "")
    assert address.base_url(base) == base
    request = urllib.request.Request(f"{base}/v1/embeddings")
    assert request.host == parts.netloc
    assert "@" not in parts.netloc
    assert base.isascii()


@given(st.one_of(PASTED, st.text()))
def test_a_key_is_sent_as_one_word_or_refused(text: str) -> None:
    with contextlib.suppress(ClientError):
        key = credentials.cleaned(text)
        assert key in text
        assert key.isascii()
        assert len(key.split()) == 1


@given(st.text(), st.binary(max_size=formats.HEAD_BYTES))
def test_any_first_bytes_are_judged(name: str, head: bytes) -> None:
    assert formats.why_not(name, head) != ""
