"""Import at init, where it may be long, what requests otherwise import late.

A snapshot has these modules then. After a restore they would be read from a disk that nothing has read yet. A cold
start on demand does without: it imports what its own request needs, and no more.
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
    "handler.imaging.enlarge",
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
    "handler.http.inflate",
)


def import_late(settings: Settings) -> None:
    """Import what requests for vectors may import late.

    Left out are the decoders of HEIC and AVIF, and what the pages, a deep health check and errors need.
    """
    for name in LATE:
        import_module(name)
    if settings.allowed_buckets and find_spec("boto3"):  # where it is missing, a request for s3:// says so
        import_module("boto3")
