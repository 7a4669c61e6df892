"""What requests import late: a cold start on demand imports what its own request needs, and no more.

Where init may be long all of it is imported at init, so that a snapshot has it: after a restore, a module is read from
a disk that nothing has read yet.
"""

from importlib import import_module
from importlib.util import find_spec

from handler.settings import Settings

LATE = (
    "orjson",
    "pybase64",
    "handler.engines.counted_ftfy",
    "handler.engines.host_kind",
    "handler.imaging.added_formats",
    "handler.imaging.bmp",
    "handler.imaging.complete_pixels",
    "handler.imaging.flatten",
    "handler.imaging.gif",
    "handler.imaging.jpeg",
    "handler.imaging.jpeg_pixels",
    "handler.imaging.png",
    "handler.imaging.png_pixels",
    "handler.imaging.webp",
    "handler.schemas.parts",
    "handler.endpoints.quantize",
    "handler.endpoints.zero_shot",
    "handler.endpoints.dialects.bedrock",
    "handler.endpoints.dialects.chat",
    "handler.endpoints.dialects.cohere",
    "handler.endpoints.dialects.form",
    "handler.endpoints.dialects.immich",
    "handler.endpoints.dialects.jina",
    "handler.endpoints.dialects.tei",
    "handler.endpoints.dialects.voyage",
    "handler.endpoints.dialects.weaviate",
)


def import_late(settings: Settings) -> None:
    """Import all that requests of this deployment may import late, but for the pages and their documents."""
    for name in LATE:
        import_module(name)
    if settings.allowed_buckets and find_spec("boto3"):  # where it is missing, a request for s3:// says so
        import_module("boto3")
