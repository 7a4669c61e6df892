"""Presigned URLs name the region's own endpoint: no other takes the signature everywhere."""

import sys
from urllib.parse import urlsplit

import pytest

from handler.errors import ApiError
from handler.search import urls
from handler.search.records import Hit
from handler.search.settings import SearchSettings


@pytest.mark.parametrize(
    ("region", "host"),
    [  # ap-east-1 was launched after March 2019: S3's global endpoint refuses its buckets
        ("eu-central-1", "s3.eu-central-1.amazonaws.com"),
        ("ap-east-1", "s3.ap-east-1.amazonaws.com"),
        ("cn-north-1", "s3.cn-north-1.amazonaws.com.cn"),
    ],
)
@pytest.mark.parametrize("bucket", ["photos", "photos.of.mine"])  # no certificate has a name with more dots
def test_a_url_names_the_endpoint_of_its_region(
    region: str, host: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    for name, value in (("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b"), ("DEFAULT_REGION", region)):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(urls, "_client", urls._client.__wrapped__)
    (url,) = urls.presigned([Hit(bucket, "2026/a b+ü%.png", 1.0, {})], SearchSettings("index", (bucket,)))
    assert url
    assert (urlsplit(url).netloc, urlsplit(url).path) == (host, f"/{bucket}/2026/a%20b%2B%C3%BC%25.png")


def test_without_boto3_the_fix_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda has it; a machine with the local server may not."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setattr(urls, "_client", urls._client.__wrapped__)
    with pytest.raises(ApiError, match="not installed here: run `pip install boto3`") as caught:
        urls.presigned([Hit("photos", "a.png", 1.0, {})], SearchSettings("index", ("photos",)))
    assert (caught.value.code, caught.value.status, caught.value.param) == ("urls_not_enabled", 400, "with_urls")
