"""AVIF and HEIC, which a package decodes where [target] of models.toml names them in image_formats."""

from collections.abc import Sequence
from typing import NamedTuple

from handler.errors import ImageError
from handler.imaging.container import Container, unsupported


class Added(NamedTuple):
    """A format's media type, and its files' suffixes."""

    media_type: str
    suffixes: tuple[str, ...]


# Their first bytes are a box `ftyp`; the brands in it are in other_formats.BRANDS.
ADDED = {
    "avif": Added("image/avif", (".avif",)),
    "heic": Added("image/heic", (".heic", ".heif", ".hif")),
}
SETTINGS = {"AVIF": ("avif",), "HEIC": ("heic",), "HEIF": ("heic", "avif")}  # HEIF is a container, of either or others


def may_be_read(name: str | None, enabled: Sequence[str]) -> bool:
    """Tell whether a file that is called so may be of a format that is enabled."""
    return bool(set(SETTINGS.get(name or "", ())) & set(enabled))


def hint(name: str | None) -> str:
    """Return what else to do with a file that is not decoded; nothing where no setting helps."""
    if name not in SETTINGS:
        return ""
    return f', or build the bundle with image_formats = ["{SETTINGS[name][0]}"] in [target] of models.toml'


def read(data: bytes, name: str, enabled: Sequence[str], known: Sequence[str]) -> Container:
    """Read the header of such a file. Raises ImageError."""
    from handler.imaging import heif, heif_pixels

    container = heif.read(data, name)
    wanted = container.kind.replace("HEIF", "HEIC")
    setting = SETTINGS[wanted][0]
    if setting not in enabled:
        raise ImageError(
            "unsupported_image_format",
            f"{wanted} is not supported: convert it to one of {', '.join(known)}{hint(wanted)}",
        )
    if not heif_pixels.has_decoder(setting):
        unsupported(
            wanted, f'its decoder is not here, though image_formats of the bundle has "{setting}": package it anew'
        )
    return container
