"""The runtime settings: every variable read, every value that cannot be meant refused by name."""

from pathlib import Path

import pytest

from handler.errors import SettingsError
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
