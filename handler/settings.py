"""The runtime settings: read once from the environment, each default written here and nowhere else."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from handler.errors import SettingsError

CACHE_MODES = ("link", "copy")
JPEG_DECODINGS = ("full", "reduced")
MB = 1_000_000


class Settings(NamedTuple):
    """What the environment of the function says; `infra/` writes the variables that `from_env` reads."""

    bundle_dir: Path = Path("/opt/openclip")  # in a layer and in the image alike
    cache_dir: Path = Path("/tmp/openclip")  # noqa: S108 - the one writable place in Lambda
    cache_mode: str = "link"
    max_body_bytes: int = 6 * MB  # Lambda's synchronous payload limit
    max_items: int = 256  # of one request
    max_image_pixels: int = 40 * MB  # width x height, known before decoding; 160 MB as RGBA
    max_request_pixels: int = 400 * MB  # of all images of one request: some ten seconds of decoding
    cors_origins: tuple[str, ...] = ()  # of pages that may call from a browser; "*" is every one
    allowed_buckets: tuple[str, ...] = ()  # of s3:// references; no other bucket is ever read
    max_object_bytes: int = 25 * MB  # of one object in S3
    threads: int = 0  # 0: as many as the process may use
    model_memory_mb: int = 0  # of the files of all loaded models, beyond which the least recently used go; 0: no limit
    pages: bool = True  # `/`, `/docs` and `/openapi.json`, which no gateway asks a credential for
    base_path: str = ""  # in front of every route, where what stands before the function passes it on
    jpeg_decoding: str = ""  # of large JPEGs, `full` or `reduced`; empty: as the build found it exact enough
    exif_orientation: bool = False  # whether images are turned as their EXIF says; a request may say otherwise

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the `OPENCLIP_` variables.

        Raises SettingsError when one has a value that cannot be meant.
        """
        default = cls()
        return cls(
            # Absolute: links to the bundle stand in another directory, where a relative path means something else.
            bundle_dir=Path(environ.get("OPENCLIP_BUNDLE_DIR", default.bundle_dir)).absolute(),
            cache_dir=cache_dir(environ),
            cache_mode=_one_of(environ, "OPENCLIP_CACHE_MODE", CACHE_MODES, default.cache_mode),
            max_body_bytes=_positive(environ, "OPENCLIP_MAX_BODY_BYTES", default.max_body_bytes),
            max_items=_positive(environ, "OPENCLIP_MAX_ITEMS", default.max_items),
            max_image_pixels=_positive(environ, "OPENCLIP_MAX_IMAGE_PIXELS", default.max_image_pixels),
            max_request_pixels=_positive(environ, "OPENCLIP_MAX_REQUEST_PIXELS", default.max_request_pixels),
            cors_origins=_names(environ, "OPENCLIP_CORS_ORIGINS"),
            allowed_buckets=_names(environ, "OPENCLIP_ALLOWED_BUCKETS"),
            max_object_bytes=_positive(environ, "OPENCLIP_MAX_OBJECT_BYTES", default.max_object_bytes),
            threads=_positive(environ, "OPENCLIP_THREADS", default.threads),
            model_memory_mb=_positive(environ, "OPENCLIP_MODEL_MEMORY_MB", default.model_memory_mb),
            pages=_flag(environ, "OPENCLIP_PAGES", default.pages),
            base_path=_base_path(environ),
            jpeg_decoding=_one_of(environ, "OPENCLIP_JPEG_DECODING", JPEG_DECODINGS, default.jpeg_decoding),
            exif_orientation=_flag(environ, "OPENCLIP_EXIF_ORIENTATION", default.exif_orientation),
        )


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Return the writable directory, also where another variable cannot be meant."""
    return Path(environ.get("OPENCLIP_CACHE_DIR", Settings().cache_dir)).absolute()


def _one_of(environ: Mapping[str, str], name: str, known: tuple[str, ...], default: str) -> str:
    value = environ.get(name, default)
    if value != default and value not in known:
        raise SettingsError(f"{name} is {value!r}: set it to one of {', '.join(known)}")
    return value


def _positive(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name)
    if value is None:
        return default
    if not value.isdecimal() or int(value) == 0:
        raise SettingsError(f"{name} is {value!r}: set it to a whole number above 0, or leave it out for {default}")
    return int(value)


def _flag(environ: Mapping[str, str], name: str, default: bool) -> bool:
    value = environ.get(name)
    if value is None:
        return default
    if value not in ("true", "false"):
        raise SettingsError(f"{name} is {value!r}: set it to true or false, or leave it out for {str(default).lower()}")
    return value == "true"


def _base_path(environ: Mapping[str, str]) -> str:
    value = environ.get("OPENCLIP_BASE_PATH", "")
    if value and (not value.startswith("/") or value.endswith("/") or not value.isprintable()):
        raise SettingsError(f"OPENCLIP_BASE_PATH is {value!r}: begin it with a slash and end it without one, as /clip")
    return value


def _names(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Read names that are separated by commas."""
    return tuple(part for part in (word.strip() for word in environ.get(name, "").split(",")) if part)
