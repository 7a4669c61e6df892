"""A setting that does not look as it has to is refused in words, with an example that would be taken."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from infra import patterns
from infra.errors import SettingsError
from infra.settings import StackSettings


def found(schema: Any) -> Iterator[str]:
    """Every pattern of a JSON schema, at whatever depth."""
    for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if key == "pattern":
            yield value
        elif isinstance(value, dict | list):
            yield from found(value)


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "https://*", "http://*", "http://localhost:3000", "http://[::1]:8080", "http://[::1]"),
        *("https://a.example:80", "http://a.example:443", "https://xn--mnchen-3ya.example"),
    ],
)
def test_an_origin_that_api_gateway_takes_is_taken(origin: str) -> None:
    """Amazon API Gateway, "Configure CORS for HTTP APIs": of all origins, and of those that begin with a scheme."""
    assert StackSettings.from_context({"cors_origins": origin}).cors_origins == (origin,)


def test_every_pattern_of_the_settings_has_words() -> None:
    assert set(found(StackSettings.model_json_schema())) == set(patterns.WORDS)


@pytest.mark.parametrize("pattern", patterns.WORDS)
def test_an_example_in_the_words_is_taken(pattern: str) -> None:
    for example in re.findall(r"as in (\S+?)[:,]?(?= |$)", patterns.WORDS[pattern]):
        assert re.fullmatch(pattern, example), example


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("stack_name", "my stack", "write a letter, then letters, digits and hyphens"),
        ("asset_prefix", "Photos", "write small letters"),
        ("cors_origins", "https://a.example/", "no slash at its end"),
        ("cors_origins", "https://a.example,https://*.b.example", "no slash at its end, no *; or *, https://*"),
        ("cors_origins", "https://a*", "or *, https://*"),
        # No browser sends these: RFC 6454, "ASCII serialization of an origin".
        ("cors_origins", "https://a.example:443", "write https://a.example ("),
        ("cors_origins", "http://[::1]:80", "write http://[::1] ("),
        ("cors_origins", "https://a.example:", "an origin, as in"),
        ("cors_origins", "https://:8080", "an origin, as in"),
        ("cors_origins", "https://a..example", "an origin, as in"),
        ("cors_origins", "http://[::1", "an origin, as in"),
        ("cors_origins", "https://a.example:8443:80", "an origin, as in"),
        ("cors_origins", "https://a.example:0", "is not a port"),
        ("cors_origins", "https://a.example:0443", "is not a port"),
        ("cors_origins", "https://a.example:65536", "is not a port"),
        ("cors_origins", "https://münchen.example", "as browsers send it"),
        ("alarm_topic_arn", "alarms", "write the ARN of an SNS topic"),
        # Amazon SNS, "Message delivery for FIFO topics": to queues alone. Publish wants a MessageGroupId.
        ("alarm_topic_arn", "arn:aws:sns:eu-west-1:123456789012:alarms.fifo", "and of type standard: a FIFO topic"),
        ("jwt_issuer", "http://a.example", "write an address that begins with https://"),
        ("allowed_buckets", "s3://photos", "no s3://, no path"),
        ("batch_output", "Photos", "write a bucket's name alone"),
        ("search_url_buckets", "photos/2026", "no path"),
    ],
)
def test_what_does_not_match_is_told_in_words(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        StackSettings.from_context({name: value})

    [line] = [line for line in str(caught.value).splitlines() if line.startswith(name)]
    assert says in line
    assert "pattern" not in line
