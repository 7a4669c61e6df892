"""Addresses and credentials as people paste them: understood, or refused with the fix and without showing a secret."""

import socket
import sys
from typing import Any

import pytest
from openclip_lambda import address, credentials
from openclip_lambda.api import Api
from openclip_lambda.errors import ClientError

from tests.unit.client.conftest import Scripted

API = "https://abc123.execute-api.eu-west-1.amazonaws.com"
MAPPED = "127.0.0.1" if sys.version_info >= (3, 13) else "7f00:1"  # as Python writes it: two forms of one address


@pytest.mark.parametrize(
    ("given", "base"),
    [
        (API, API),
        (f"{API}/", API),
        (f"{API}//", API),
        (f"{API}/v1", API),
        (f"{API}/v1/", API),
        (f"{API}/v1/embeddings", API),
        (f"{API}/V1/Embeddings/", API),
        (f"{API}/v1/classify", API),
        (f"{API}/health", API),
        (f"{API}/docs#try", API),
        (f"{API}/?", API),
        (f"{API}:443", API),
        (f"{API}/prod", f"{API}/prod"),
        (f"{API}/prod/v1/embeddings", f"{API}/prod"),
        (f"{API}//clip//v1", f"{API}/clip"),
        (f"{API}/a%20b", f"{API}/a%20b"),
        (f"{API}/bücher", f"{API}/b%C3%BCcher"),
        (f"  {API}\n", API),
        (f'"{API}"', API),
        (f"<{API}>", API),
        (API.upper(), API),
        (API.removeprefix("https://"), API),
        (API.removeprefix("https:"), API),
        ("abc123.execute-api.eu-west-1.amazonaws.com:8443/v1", f"{API}:8443"),
        ("localhost:8080", "http://localhost:8080"),
        ("localhost", "http://localhost"),
        ("LOCALHOST:8080/v1/", "http://localhost:8080"),
        ("127.0.0.1:8080/#matches", "http://127.0.0.1:8080"),
        ("127.9.9.9", "http://127.9.9.9"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("http://[0:0:0:0:0:0:0:1]/v1", "http://[::1]"),
        ("http://[::ffff:127.0.0.1]:8080", f"http://[::ffff:{MAPPED}]:8080"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ("http://localhost.:80", "http://localhost."),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("api_internal:8443", "https://api_internal:8443"),
    ],
)
def test_an_address_is_understood_as_it_is_pasted(given: str, base: str) -> None:
    assert address.base_url(given) == base


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "the address is empty"),
        ("  ''", "the address is empty"),
        ("https://", "no host name"),
        ("https:///v1", "no host name"),
        ("https://a b.example", "white space"),
        (f"{API}\n{API}", "white space"),
        (f"{API}\\@evil.example", "backslash"),
        ("https:example.com", "lacks the slashes"),
        ("http:/localhost", "lacks the slashes"),
        ("ftp://example.com", "begins with ftp://"),
        ("file:///etc/passwd", "begins with file://"),
        ("s3://bucket/key", "begins with s3://"),
        ("https://user:hunter2@example.com", "give --api-key"),
        ("hunter2@example.com", "give --api-key"),
        (f"{API}/v1?key=hunter2", "leave out the ?"),
        (f"{API}?key=hunter2#x", "leave out the ?"),
        ("https://example.com:0", "a port is a number"),
        ("https://example.com:99999", "a port is a number"),
        ("https://example.com:http", "a port is a number"),
        ("https://::1:8080", "stands in brackets"),
        ("::1", "stands in brackets"),
        ("https://[::1", "cannot be read"),
        ("https://[nonsense]", "IPv6|cannot be read"),
        ("https://..", "no host name"),
        ("https://exa$mple.com", "no host name"),
        ("https://" + "ü" * 100 + ".com", "no host name"),
        ("https://${Url}", "no host name"),
        ("https://\x00example.com", "control character"),
    ],
)
def test_an_address_that_is_none_is_refused_with_the_fix(given: str, says: str) -> None:
    with pytest.raises(ClientError, match=says) as caught:
        address.base_url(given)
    assert "hunter2" not in str(caught.value)


FOREIGN = (
    "http://example.com",
    "http://10.0.0.1",
    "http://192.168.1.1:8080",
    "http://0.0.0.0:8080",
    "http://localhost.example.com",
    "http://127.0.0.1.example.com",
    "http://notlocalhost",
    "http://127.1",
    "http://2130706433",
    "http://[::]",
    "http://[fe80::1]",
    "http://[::ffff:10.0.0.1]",
    "HTTP://EXAMPLE.COM",
)


@pytest.mark.parametrize("given", FOREIGN)
def test_plain_http_is_for_this_machine_unless_asked_for(given: str) -> None:
    with pytest.raises(ClientError, match="--insecure-http"):
        Api(given)
    assert Api(given, insecure_http=True).url.startswith("http://")


def test_a_name_under_localhost_is_this_machine_only_if_its_address_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = "127.0.0.1"
    answer: Any = lambda *_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, 0))]  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert address.base_url("http://api.localhost:4566") == "http://api.localhost:4566"
    found = "203.0.113.7"  # a network that answers every name with its own
    with pytest.raises(ClientError, match="--insecure-http"):
        address.base_url("http://api.localhost:4566")


@pytest.mark.parametrize(
    "given",
    [
        "hunter2",
        " hunter2\n",
        "hunter2\r\n",
        '"hunter2"',
        "'hunter2'",
        "“hunter2”",
        "Bearer hunter2",
        "bearer  hunter2",
        "'Bearer hunter2'",
        "Authorization: Bearer hunter2",
        "authorization: hunter2",
        "Bearer Bearer hunter2",
        "\ufeffhunter2",
        "\u200bhunter2\xa0",
    ],
)
def test_a_key_is_cleaned_of_what_was_copied_along(scripted: Scripted, given: str) -> None:
    scripted.always(200, b'{"status": "ok"}')
    Api(scripted.url, credentials.bearer(given)).get("/health")
    assert scripted.requests[0][2]["authorization"] == "Bearer hunter2"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("Bearer", "is empty"),
        ("hunter2 hunter2", "white space at character 8 of 15"),
        ("hunter2\nx: y", "white space at character 8"),
        ("hunter2\r\nx-injected: 1", "white space at character 8"),
        ('hun"ter2', "a quote at character 4"),
        ("hunter2é", "no printable ASCII at character 8"),
        ("hunter\u200b2", "no printable ASCII at character 7"),
        ("hunter2\x00", "no printable ASCII at character 8"),
        ("hunter2\udce9", "no printable ASCII at character 8"),
    ],
)
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(given: str, says: str) -> None:
    with pytest.raises(ClientError, match=says) as caught:
        credentials.bearer(given)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hun ter2"}, "the AWS secret key has white space"),
        ({"AWS_ACCESS_KEY_ID": "AK\nIA", "AWS_SECRET_ACCESS_KEY": "hunter2"}, "the AWS access key has white space"),
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, "AWS credentials cannot be read"),
        ({"AWS_PROFILE": "nobody"}, "AWS_PROFILE"),
        ({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_DEFAULT_REGION": "eu west"}, "no region"),
        ({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_DEFAULT_REGION": ""}, "no AWS region"),
        ({}, "no AWS credentials found"),
    ],
)
def test_aws_credentials_that_cannot_sign_are_reported_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], says: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/x", "AWS_SHARED_CREDENTIALS_FILE": "/x"}
    for name, value in {"AWS_DEFAULT_REGION": "eu-west-1", **nowhere, **environ}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ClientError, match=says) as caught:
        credentials.signature(None)
    assert "hunter2" not in str(caught.value)
