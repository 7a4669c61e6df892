"""Image formats that a package has only where `image_formats` in [target] of models.toml names them.

PNG, JPEG, WebP, GIF and BMP are decoded in every package.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Decoder:
    """What decodes a format. `requirements` names files of layer/package/requirements; `places` are globs in a tree.

    `code_bytes` is what these take, measured on x86_64, which is the larger.
    """

    name: str
    requirements: tuple[str, ...]
    places: tuple[str, ...]
    code_bytes: int


DECODERS: Mapping[str, Decoder] = {
    "avif": Decoder("AVIF: Pillow's own libavif", (), ("PIL/_avif.*.so", "pillow.libs/libavif-*"), 5_000_000),
    "heic": Decoder("HEIC, HEIF: pillow-heif", ("heic",), ("pillow_heif*", "_pillow_heif*"), 27_500_000),
}
SAME = {"heif": "heic"}
ALWAYS = ("png", "jpeg", "jpg", "webp", "gif", "bmp")


def checked(value: object) -> tuple[str, ...] | None:
    """Return the formats that a list of models.toml names, each once, in their order here; None for none.

    Raises ValueError with what to write.
    """
    known = (
        f'write image_formats = ["avif", "heic"], or one of them: {", ".join(ALWAYS[:2])} and so on are always there'
    )
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"is not a list of texts: {known}")
    names = [SAME.get(one.lower(), one.lower()) for one in value]
    if other := [one for one in names if one not in DECODERS and one not in ALWAYS]:
        raise ValueError(f"has {other[0]!a}, which no package decodes: {known}")
    return tuple(name for name in DECODERS if name in names) or None


def requirements(formats: Iterable[str]) -> set[str]:
    """Name the requirements of these formats."""
    return {name for one in formats for name in DECODERS[one].requirements}


def code_bytes(formats: Iterable[str] | None) -> dict[str, int]:
    """Return what each format adds to a package, in bytes, by its name."""
    return {name: DECODERS[name].code_bytes for name in formats or ()}


def sizes(tree: Path, formats: Iterable[str]) -> dict[str, int]:
    """Return what each format's decoder takes in a runtime tree, in bytes, by the format's name."""
    found = {}
    for one in formats:
        tops = [path for place in DECODERS[one].places for path in tree.glob(place)]
        files = [path for top in tops for path in (top.rglob("*") if top.is_dir() else (top,)) if path.is_file()]
        found[one] = sum(path.stat().st_size for path in files)
    return found
