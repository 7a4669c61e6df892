"""The runtime settings: read once from the environment, each declared here and nowhere else.

A declaration holds the default, how a value is read and refused, and what it means. The README's table says the same,
and so do the deployment's settings and its document: tests/contracts/test_settings.py compares them.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from handler.errors import SettingsError

CACHE_MODES = ("link", "copy")
JPEG_DECODINGS = ("full", "reduced")
# Other vendors' requests and routes that are understood; `handler/http/routes.py` has what each answers.
DIALECTS = ("bedrock", "cohere", "immich", "jina", "tei", "voyage", "weaviate")
MB = 1_000_000

Read = Callable[[str, str, str], Any]  # the variable's name, its value, and what is said of the default


def _path(_: str, value: str, __: str) -> Path:
    # Absolute: links to the bundle stand in another directory, where a relative path means something else.
    return Path(value).absolute()


def _one_of(*known: str) -> Read:
    def read(name: str, value: str, _: str) -> str:
        if value not in known:
            raise SettingsError(f"{name} is {value!r}: set it to one of {', '.join(filter(None, known))}")
        return value

    return read


def _positive(name: str, value: str, default: str) -> int:
    if not value.isdecimal() or int(value) == 0:
        raise SettingsError(f"{name} is {value!r}: set it to a whole number above 0, or leave it out for {default}")
    return int(value)


def _flag(name: str, value: str, default: str) -> bool:
    if value not in ("true", "false"):
        raise SettingsError(f"{name} is {value!r}: set it to true or false, or leave it out for {default}")
    return value == "true"


def _names(_: str, value: str, __: str) -> tuple[str, ...]:
    return tuple(part for part in (word.strip() for word in value.split(",")) if part)


def _origins(name: str, value: str, default: str) -> tuple[str, ...]:
    origins = _names(name, value, default)
    for origin in origins:
        if origin not in ("*", "null") and not _is_origin(origin):
            raise SettingsError(
                f"{name} has {origin!r}, which no browser sends: write an origin as https://app.example, in small "
                "letters of ASCII, without a path, a slash at its end or the scheme's own port; `*` alone allows all"
            )
    return origins


def _is_origin(text: str) -> bool:
    """Tell whether a browser may send it (RFC 6454, "ASCII serialization of an origin"). Any other never matches."""
    scheme, _, host = text.partition("://")
    own_port = {"http": ":80", "https": ":443"}.get(scheme)
    plain = text.isascii() and text == text.lower() and not any(one in host for one in "/*?#@ ")
    return bool(scheme and host) and plain and not (own_port and host.endswith(own_port))


def bucket_names(name: str, value: str, default: str = "none") -> tuple[str, ...]:
    """Return the buckets in the value of a variable. Raises SettingsError for an address, an ARN or a pattern."""
    buckets = _names(name, value, default)
    for bucket in buckets:
        if "/" in bucket or "*" in bucket or ":::" in bucket:
            raise SettingsError(
                f"{name} has {bucket!r}: write a bucket's name alone, as my-photos, without s3://, arn:, path or `*`"
            )
    return buckets


def _base(name: str, value: str, _: str) -> str:
    if value and (not value.startswith("/") or value.endswith("/") or not value.isprintable()):
        raise SettingsError(f"{name} is {value!r}: begin it with a slash and end it without one, as /clip")
    return value


def _some_of(*known: str) -> Read:
    def read(name: str, value: str, default: str) -> tuple[str, ...]:
        names = _names(name, value, default)
        if unknown := sorted(set(names) - set(known)):
            these = ", ".join(known)
            raise SettingsError(f"{name} has {unknown[0]!r}: name some of {these}, with commas; an empty value is none")
        return names

    return read


class Declared(NamedTuple):
    """How a setting is read, and what it means. `shown`, if given, describes the default in place of its value."""

    read: Read
    about: str
    shown: str = ""


class Settings(NamedTuple):
    """What the environment of the function says: `max_items` is OPENCLIP_MAX_ITEMS, and so on."""

    bundle_dir: Annotated[Path, Declared(_path, "where the bundle is")] = Path("/opt/openclip")
    # The one writable place in Lambda.
    cache_dir: Annotated[Path, Declared(_path, "the writable directory")] = Path("/tmp/openclip")  # noqa: S108
    cache_mode: Annotated[
        str,
        Declared(
            _one_of(*CACHE_MODES),
            "`link` makes symlinks to the models in the writable directory, `copy` copies the models",
        ),
    ] = "link"
    max_body_bytes: Annotated[int, Declared(_positive, "bytes of a body: Lambda's own limit")] = 6 * MB
    max_items: Annotated[int, Declared(_positive, "items in one request")] = 256
    # 160 MB as RGBA.
    max_image_pixels: Annotated[
        int,
        Declared(
            _positive,
            "width x height of one image, checked before it is decoded; at most `OPENCLIP_MAX_REQUEST_PIXELS`",
        ),
    ] = 40 * MB
    # Some ten seconds of decoding.
    max_request_pixels: Annotated[
        int,
        Declared(
            _positive, "pixels of all images of one request; an image that is slow to decode counts as more pixels"
        ),
    ] = 400 * MB
    cors_origins: Annotated[
        tuple[str, ...],
        Declared(
            _origins,
            "origins whose pages may call from a browser, separated by commas; `*` allows all. "
            "In a deployment the gateway does this: `cors_origins`",
            "none",
        ),
    ] = ()
    allowed_buckets: Annotated[
        tuple[str, ...],
        Declared(bucket_names, "buckets that `s3://` may name, separated by commas; no other is ever read", "none"),
    ] = ()
    max_object_bytes: Annotated[
        int, Declared(_positive, "size of one object in S3; all objects of one request may have 8 times that")
    ] = 25 * MB
    threads: Annotated[int, Declared(_positive, "threads of the engine", "the vCPUs of the memory setting")] = 0
    model_memory_mb: Annotated[
        int,
        Declared(
            _positive, "MB of the files of all loaded models; above it the least recently used are released", "no limit"
        ),
    ] = 0
    pages: Annotated[bool, Declared(_flag, "`false`: `/`, `/docs` and `/openapi.json` return 404")] = True
    search: Annotated[
        bool,
        Declared(_flag, "`true`: the playground has a search tab, since an index answers `/v1/search` and `/v1/index`"),
    ] = False
    base_path: Annotated[
        str,
        Declared(
            _base,
            "the prefix of every path, for example `/clip`, behind a load balancer or a proxy that does not remove it. "
            "A base path of API Gateway's custom domains needs no setting, because API Gateway names the route",
            "none",
        ),
    ] = ""
    jpeg_decoding: Annotated[
        str,
        Declared(
            _one_of("", *JPEG_DECODINGS),
            "`full` or `reduced`: whether a large JPEG is decoded only as large as the model needs it "
            "([engines.md](docs/engines.md#photographs))",
            "as built",
        ),
    ] = ""
    dialects: Annotated[
        tuple[str, ...],
        Declared(
            _some_of(*DIALECTS),
            "other vendors' APIs that are answered, separated by commas; an empty value is none "
            "([api.md](docs/api.md))",
            "all",
        ),
    ] = DIALECTS
    exif_orientation: Annotated[
        bool, Declared(_flag, "`true` turns images upright by their EXIF, unless a request says otherwise")
    ] = False
    extensions: Annotated[
        str,
        Declared(
            lambda _, value, __: value,
            "the directory of code of your own ([extending.md](docs/extending.md)); `none`: there is no such code",
            "`handler_ext` beside `handler`, if it is there",
        ),
    ] = ""

    @property
    def of_vectors(self) -> dict[str, bool]:
        """The settings that change vectors, as Parquet files and search indexes record them."""
        return {"exif_orientation": self.exif_orientation, "normalize": True}

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the `OPENCLIP_` variables. Raises SettingsError if one is invalid, or two contradict each other."""
        given = {name: value for name in cls._fields if (value := environ.get(variable(name))) is not None}
        settings = cls(
            **{name: declared(name).read(variable(name), value, default_of(name)) for name, value in given.items()}
        )
        names = ("max_image_pixels", "max_request_pixels")
        if settings.max_image_pixels > settings.max_request_pixels:
            first, second = (f"{variable(name)} is {getattr(settings, name):,}" for name in names)
            raise SettingsError(
                f"{first} and {second}: one image may not have more pixels than all of a request. Lower the first, or "
                f"raise the second (their defaults are {default_of(names[0])} and {default_of(names[1])})"
            )
        return settings


def variable(name: str) -> str:
    """Name a setting's variable of the environment."""
    return f"OPENCLIP_{name.upper()}"


def declared(name: str) -> Declared:
    """Return a setting's declaration."""
    found: Declared = Settings.__annotations__[name].__metadata__[0]
    return found


def default_of(name: str) -> str:
    """Describe the default of a setting, for messages and documents."""
    default = Settings._field_defaults[name]
    if shown := declared(name).shown:
        return shown
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:,}" if isinstance(default, int) else str(default)


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Return the writable directory. Unlike `Settings.from_env`, this does not fail for other variables' values."""
    return Path(environ.get(variable("cache_dir"), Settings._field_defaults["cache_dir"])).absolute()
