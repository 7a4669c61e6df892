"""Presigned URLs for hits: of the buckets that the settings name, and no other."""

import functools
from collections.abc import Sequence
from typing import Any

from handler.errors import ApiError
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
    """Return each hit's URL, None for one of another bucket. Nothing is sent: a URL is signed here."""
    allowed = set(settings.url_buckets) - {""}  # of a folder there is no bucket
    return [
        _client().generate_presigned_url(
            "get_object", Params={"Bucket": hit.bucket, "Key": hit.key}, ExpiresIn=settings.url_seconds
        )
        if hit.bucket in allowed
        else None
        for hit in hits
    ]


@functools.cache
def _client() -> Any:
    try:
        import boto3  # late: most searches ask for no URL
        from botocore.config import Config
    except ModuleNotFoundError as error:  # Lambda has it; another machine may not
        fix = "presigned URLs need boto3, which is not installed here: run `pip install boto3`"
        raise ApiError("urls_not_enabled", fix, "with_urls") from error

    # By path, or boto3 names S3's global endpoint. From there a new bucket's region is a redirect, which ends the
    # signature, and regions launched after March 2019 are refused: AmazonS3, "Virtual hosting of buckets".
    return boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
