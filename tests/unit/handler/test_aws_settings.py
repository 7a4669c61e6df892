"""AWS credentials and settings that cannot be used, as on a workstation: told with the fix, and no fault of ours.

The errors are boto3's own, of its own environment variables.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from handler.errors import ApiError, StartError
from handler.imaging import s3
from handler.imaging.s3 import S3Object
from handler.search import s3vectors, urls
from handler.search.records import Hit
from handler.search.settings import SearchSettings
from handler.settings import Settings

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
REGION = {"AWS_DEFAULT_REGION": "eu-west-1"}
UNUSABLE = {  # the environment, and the error's name
    "no such profile": ({**KEYS, **REGION, "AWS_PROFILE": "nope"}, "ProfileNotFound"),
    "no region's name": ({**KEYS, "AWS_DEFAULT_REGION": "a/b"}, "InvalidRegionError"),
    "no address": ({**KEYS, **REGION, "AWS_ENDPOINT_URL": "foo"}, "ValueError"),
    "half of a key": ({"AWS_ACCESS_KEY_ID": "a", **REGION}, "PartialCredentialsError"),
    "no key": (REGION, "NoCredentialsError"),
}
FIX = "correct the AWS credentials and settings where this runs (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL)"
WHERE = S3Object("photos", "cat.jpg", None)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, str]], None]:
    """Give boto3 these variables of the environment and no others, and no files."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "REGION", "DEFAULT_REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    files = {name: str(tmp_path / "none") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for module, made in ((s3, "_made"), (urls, "_client"), (s3vectors, "_client")):
        monkeypatch.setattr(module, made, getattr(module, made).__wrapped__)

    def give(environ: dict[str, str]) -> None:
        for name, value in {**files, "AWS_EC2_METADATA_DISABLED": "true", **environ}.items():
            monkeypatch.setenv(name, value)

    return give


@pytest.mark.parametrize(("environ", "name"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_object_that_nothing_can_be_asked_for(given: Any, environ: dict[str, str], name: str) -> None:
    given(environ)
    with pytest.raises(ApiError) as caught:
        s3.fetch([(WHERE, "input[1]")], Settings())
    assert (caught.value.code, caught.value.status, caught.value.param) == ("s3_unavailable", 503, "input[1]")
    assert caught.value.message == f"s3://photos/cat.jpg cannot be fetched ({name}): {FIX}"


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_an_object_that_s3_refuses_these_credentials(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """AmazonS3, "Error responses": all of them are of the credentials, and no other try helps."""

    class Refusing:
        def get_object(self, **_: str) -> None:
            raise ClientError({"Error": {"Code": code}}, "GetObject")

    monkeypatch.setattr(s3, "_client", Refusing)
    with pytest.raises(ApiError) as caught:
        s3.fetch([(WHERE, "input")], Settings())
    assert (caught.value.code, caught.value.status) == ("s3_unavailable", 503)
    assert caught.value.message == f"S3 refuses s3://photos/cat.jpg ({code}): {FIX}"


@pytest.mark.parametrize(("environ", "name"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_url_that_nothing_can_be_signed_with(given: Any, environ: dict[str, str], name: str) -> None:
    given(environ)
    hits = [Hit("photos", "a.png", 1.0, {}), Hit("others", "b.png", 0.5, {})]
    with pytest.raises(ApiError) as caught:
        urls.presigned(hits, SearchSettings("index", ("photos",)))
    assert (caught.value.code, caught.value.status, caught.value.param) == ("s3_unavailable", 503, "with_urls")
    assert caught.value.message == f"no URL can be signed ({name}): {FIX}"
    assert urls.presigned(hits[1:], SearchSettings("index", ("photos",))) == [None]  # nothing is to be signed


@pytest.mark.parametrize(
    ("environ", "says"),
    [({**KEYS, **REGION, "AWS_PROFILE": "nope"}, r"profile \(nope\) could"), (KEYS, "must specify a region")],
    ids=["no such profile", "no region"],
)
def test_an_index_in_s3_vectors_that_nobody_can_open(given: Any, environ: dict[str, str], says: str) -> None:
    given(environ)
    with pytest.raises(StartError, match=rf"S3 Vectors cannot be opened \(.*{says}.*\): correct the AWS settings"):
        s3vectors.S3VectorsIndex.open("s3vectors:photos/openclip")
