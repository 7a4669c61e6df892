"""Presigned URLs for hits: of the buckets that the settings name, and no other."""

import functools
from collections.abc import Sequence
from typing import Any

from handler.errors import ApiError
from handler.imaging.s3 import no_access
from handler.search.records import Hit
from handler.search.settings import SearchSettings


def check_enabled(settings: SearchSettings) -> None:
    """Raise ApiError urls_not_enabled where no bucket may have URLs."""
    if not settings.url_buckets:
        raise ApiError(
            "urls_not_enabled",
            "presigned URLs are not enabled here: name the buckets in OPENCLIP_SEARCH_URL_BUCKETS, or leave "
            "`with_urls` out",
            "with_urls",
        )


def presigned(hits: Sequence[Hit], settings: SearchSettings) -> list[str | None]:
    """Return each hit's URL, None for one of another bucket. Nothing is sent: a URL is signed here.

    Raises ApiError urls_not_enabled without boto3, s3_unavailable without credentials to sign with.
    """
    allowed = set(settings.url_buckets) - {""}  # of a folder there is no bucket
    if not any(hit.bucket in allowed for hit in hits):
        return [None] * len(hits)
    try:
        from botocore.exceptions import BotoCoreError

        return [_signed(hit, settings.url_seconds) if hit.bucket in allowed else None for hit in hits]
    except ModuleNotFoundError as error:  # Lambda has it; another machine may not
        fix = "presigned URLs need boto3, which is not installed here: run `pip install boto3`"
        raise ApiError("urls_not_enabled", fix, "with_urls") from error
    except (BotoCoreError, ValueError) as error:  # as of AWS_PROFILE, AWS_REGION or AWS_ENDPOINT_URL
        raise no_access("no URL can be signed", type(error).__name__, "with_urls") from error


def _signed(hit: Hit, seconds: int) -> str:
    asked = {"Bucket": hit.bucket, "Key": hit.key}
    url: str = _client().generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds)
    return url


@functools.cache
def _client() -> Any:
    import boto3  # late: most searches ask for no URL
    from botocore.config import Config

    # By path, or boto3 names S3's global endpoint. From there a new bucket's region is a redirect, which ends the
    # signature, and regions launched after March 2019 are refused: AmazonS3, "Virtual hosting of buckets".
    return boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
