"""AVIF and HEIC by the libraries that decode them, imported when the first such image is."""

from importlib import import_module
from io import BytesIO

from PIL import Image

from handler.imaging.container import Container, damaged
from handler.imaging.flatten import flatten

MODULES = {"avif": "PIL._avif", "heic": "_pillow_heif"}  # Pillow's own, and pillow-heif's


def has_decoder(name: str) -> bool:
    """Tell whether this package has the decoder of a format of image_formats."""
    if name not in MODULES:
        return False
    try:
        import_module(MODULES[name])
    except ImportError:
        return False
    return True


def load(container: Container) -> Image.Image:
    """Decode the file in `container.parts`. Raises ImageError."""
    image = _opened(container)
    if container.kind == "AVIF" and image.size != (container.width, container.height):
        damaged("AVIF", "its size")
    image.load()
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    return flatten(image)


def _opened(container: Container) -> Image.Image:
    if container.kind == "AVIF":
        from PIL import AvifImagePlugin  # noqa: F401 - tells Pillow of it

        return container.open()
    from pillow_heif import HeifImageFile

    opened: Image.Image = HeifImageFile(BytesIO(b"".join(container.parts)))
    return opened
