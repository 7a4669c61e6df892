"""The runtime settings: every variable read, every value that cannot be meant refused by name."""

import re
from pathlib import Path

import pytest

from handler.errors import SettingsError
from handler.search.settings import SearchSettings
from handler.settings import Settings


def test_an_empty_environment_gives_the_places_of_lambda() -> None:
    settings = Settings.from_env({})

    assert (settings.bundle_dir, settings.cache_dir) == (Path("/opt/openclip"), Path("/tmp/openclip"))
    assert settings == Settings()


def test_each_variable_reaches_its_setting() -> None:
    settings = Settings.from_env(
        {
            "OPENCLIP_BUNDLE_DIR": "/b",
            "OPENCLIP_CACHE_DIR": "/c",
            "OPENCLIP_CACHE_MODE": "copy",
            "OPENCLIP_MAX_BODY_BYTES": "1",
            "OPENCLIP_MAX_ITEMS": "2",
            "OPENCLIP_MAX_IMAGE_PIXELS": "3",
            "OPENCLIP_MAX_REQUEST_PIXELS": "4",
            "OPENCLIP_CORS_ORIGINS": "https://a.example, https://b.example,",
            "OPENCLIP_ALLOWED_BUCKETS": "photos,more.photos",
            "OPENCLIP_MAX_OBJECT_BYTES": "5",
            "OPENCLIP_THREADS": "6",
            "OPENCLIP_MODEL_MEMORY_MB": "7",
            "OPENCLIP_PAGES": "false",
            "OPENCLIP_JPEG_DECODING": "full",
            "OPENCLIP_EXIF_ORIENTATION": "true",
        }
    )

    origins = ("https://a.example", "https://b.example")
    buckets = ("photos", "more.photos")
    expected = Settings(Path("/b"), Path("/c"), "copy", 1, 2, 3, 4, origins, buckets, 5, 6, 7, False)
    assert settings == expected._replace(jpeg_decoding="full", exif_orientation=True)


def test_relative_directories_are_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    settings = Settings.from_env({"OPENCLIP_BUNDLE_DIR": "build/bundle", "OPENCLIP_CACHE_DIR": "cache"})

    assert (settings.bundle_dir, settings.cache_dir) == (tmp_path / "build/bundle", tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENCLIP_CACHE_MODE", "symlink"),
        ("OPENCLIP_JPEG_DECODING", "half"),
        ("OPENCLIP_MAX_ITEMS", "0"),
        ("OPENCLIP_MAX_ITEMS", "-1"),
        ("OPENCLIP_MAX_BODY_BYTES", "6MB"),
        ("OPENCLIP_THREADS", ""),
        ("OPENCLIP_PAGES", "no"),
        ("OPENCLIP_EXIF_ORIENTATION", "1"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is {value!r}"):
        Settings.from_env({name: value})


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        (
            {"OPENCLIP_MAX_IMAGE_PIXELS": "500000000"},
            "OPENCLIP_MAX_IMAGE_PIXELS is 500,000,000 and OPENCLIP_MAX_REQUEST_PIXELS is 400,000,000: ",
        ),
        (
            {"OPENCLIP_MAX_REQUEST_PIXELS": "1000000"},
            "OPENCLIP_MAX_IMAGE_PIXELS is 40,000,000 and OPENCLIP_MAX_REQUEST_PIXELS is 1,000,000: ",
        ),
    ],
    ids=["more for one image", "less for all"],
)
def test_one_image_cannot_have_more_pixels_than_a_request(environ: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=f"^{says}") as caught:
        Settings.from_env(environ)
    assert "their defaults are 40,000,000 and 400,000,000" in str(caught.value)


def test_as_many_pixels_for_one_image_as_for_a_request_are_taken() -> None:
    same = {"OPENCLIP_MAX_IMAGE_PIXELS": "9", "OPENCLIP_MAX_REQUEST_PIXELS": "9"}
    found = Settings.from_env(same)
    assert (found.max_image_pixels, found.max_request_pixels) == (9, 9)


@pytest.mark.parametrize("bucket", ["s3://photos", "photos/", "photos/2026", "arn:aws:s3:::photos", "*"])
def test_what_is_no_bucket_s_name_is_refused_by_name(bucket: str) -> None:
    for name, read in (
        ("OPENCLIP_ALLOWED_BUCKETS", Settings.from_env),
        ("OPENCLIP_SEARCH_URL_BUCKETS", lambda environ: SearchSettings.from_env({"OPENCLIP_INDEX": "/i", **environ})),
    ):
        with pytest.raises(SettingsError, match=re.escape(f"{name} has {bucket!r}: write a bucket's name alone")):
            read({name: f"more.photos, {bucket}"})


def test_an_access_point_and_a_bucket_of_old_are_taken() -> None:
    """docs.aws.amazon.com: S3 takes an access point's ARN for a bucket's name, and names of old have other letters."""
    names = ("arn:aws:s3:eu-west-1:123456789012:accesspoint:photos", "Old_Photos")
    assert Settings.from_env({"OPENCLIP_ALLOWED_BUCKETS": ",".join(names)}).allowed_buckets == names
