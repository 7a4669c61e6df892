"""The settings of the search from environment variables, besides those of the handler."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from handler.errors import SettingsError
from handler.settings import bucket_names

URL_BUCKETS = "OPENCLIP_SEARCH_URL_BUCKETS"
MAX_URL_SECONDS = 7 * 24 * 3600  # S3's own limit, docs.aws.amazon.com: AmazonS3 "Sharing objects with presigned URLs"


class SearchSettings(NamedTuple):
    """`place` is the index: a directory, `s3://bucket/prefix` or `s3vectors:<bucket>/<index>`.

    `url_buckets` are those whose objects may get a presigned URL, which holds for `url_seconds`.
    """

    place: str
    url_buckets: tuple[str, ...] = ()
    url_seconds: int = 900

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "SearchSettings":
        """Read OPENCLIP_INDEX, OPENCLIP_SEARCH_URL_BUCKETS and OPENCLIP_SEARCH_URL_SECONDS. Raises SettingsError."""
        index = environ.get("OPENCLIP_INDEX", "")
        if not index:
            raise SettingsError(
                "OPENCLIP_INDEX is not set: name the index, as a directory, s3://bucket/prefix or "
                "s3vectors:<bucket>/<index>"
            )
        check_place(index, "OPENCLIP_INDEX")
        buckets = bucket_names(URL_BUCKETS, environ.get(URL_BUCKETS, ""))
        seconds = environ.get("OPENCLIP_SEARCH_URL_SECONDS")
        return cls(index, buckets, cls.url_seconds_of(seconds))

    @classmethod
    def url_seconds_of(cls, text: str | None) -> int:
        """Read for how long a URL holds. Raises SettingsError."""
        default: int = cls._field_defaults["url_seconds"]
        return default if text is None else _seconds(text)


def _seconds(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MAX_URL_SECONDS:
        raise SettingsError(
            f"OPENCLIP_SEARCH_URL_SECONDS is {text!r}: set it to a whole number from 1 to {MAX_URL_SECONDS:,}"
        )
    return int(text)


def check_place(place: str, name: str) -> None:
    """Raise SettingsError for what names no index, also in a storage that LanceDB knows and nobody tested.

    An empty name would be the working directory.
    """
    scheme, mark, rest = place.partition("://")
    vectors, _, index = place.removeprefix("s3vectors:").partition("/")
    if (
        not place
        or "\0" in place
        or (mark and (scheme != "s3" or not rest.partition("/")[0]))
        or (place.startswith("s3vectors:") and not (vectors and index))
    ):
        raise SettingsError(
            f"{name} is {place!r}: set it to a directory, s3://bucket/prefix or s3vectors:<bucket>/<index>"
        )
