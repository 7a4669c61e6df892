"""What requests import late: a cold start on demand imports what its own request needs, and no more.

Where init may be long all of it is imported at init, so that a snapshot has it: after a restore, a module is read from
a disk that nothing has read yet.
"""

from importlib import import_module

from handler.settings import Settings

LATE = (
    "handler.engines.counted_ftfy", "handler.engines.host_kind", "pybase64", "orjson",
    *(f"handler.imaging.{name}" for name in ("added_formats", "bmp", "complete_pixels", "flatten", "gif")),
    *(f"handler.imaging.{name}" for name in ("jpeg", "jpeg_pixels", "png", "png_pixels", "webp")),
    *(f"handler.endpoints.{name}" for name in ("quantize", "zero_shot")),
    *(f"handler.endpoints.dialects.{name}" for name in ("bedrock", "chat", "cohere", "core", "form", "immich")),
    *(f"handler.endpoints.dialects.{name}" for name in ("jina", "tei", "voyage", "weaviate")),
    "handler.schemas.parts",
)  # fmt: skip


def import_late(settings: Settings) -> None:
    """Import all that requests of this deployment may import late, but for the pages and their documents."""
    for name in (*LATE, *(("boto3",) if settings.allowed_buckets else ())):
        import_module(name)
