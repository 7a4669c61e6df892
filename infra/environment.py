"""The function's environment: what `handler/settings.py` reads, and what libraries freeze when they are imported.

The handler sets the offline part itself, first of all; here it stands too, for whatever is imported before the handler.
"""

import json

from infra.errors import SettingsError
from infra.settings import StackSettings

BUNDLE_DIR = "/opt/openclip"  # where image and layer alike have it
CACHE_DIR = "/tmp/openclip"  # noqa: S108 - the one writable place in Lambda
LIMITS = (
    "max_items",
    "max_body_bytes",
    "max_image_pixels",
    "max_request_pixels",
    "max_object_bytes",
    "model_memory_mb",
    "threads",
    "jpeg_decoding",
)  # settings that the handler has a default for
LIMIT_BYTES = 4096  # Lambda's, of all variables as JSON


def environment(settings: StackSettings) -> dict[str, str]:
    """Return the variables of the function. Raises SettingsError where they are more than Lambda takes.

    CORS is none of them: the gateway answers for it (api.py).
    """
    variables = {
        "OPENCLIP_BUNDLE_DIR": BUNDLE_DIR,
        "OPENCLIP_CACHE_DIR": CACHE_DIR,
        "OPENCLIP_CACHE_MODE": settings.cache_mode,
        **{f"OPENCLIP_{name.upper()}": str(value) for name in LIMITS if (value := getattr(settings, name)) is not None},
        **({} if settings.pages else {"OPENCLIP_PAGES": "false"}),
        **({} if settings.dialects is None else {"OPENCLIP_DIALECTS": ",".join(settings.dialects)}),
        **({"OPENCLIP_ALLOWED_BUCKETS": ",".join(settings.allowed_buckets)} if settings.allowed_buckets else {}),
        **({"OPENCLIP_EXIF_ORIENTATION": "true"} if settings.exif_orientation else {}),
        **({"OPENCLIP_SEARCH": "true"} if settings.search else {}),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": f"{CACHE_DIR}/hf",
        "HF_HUB_CACHE": f"{CACHE_DIR}/hub",
        "HOME": f"{CACHE_DIR}/home",
        "XDG_CACHE_HOME": f"{CACHE_DIR}/xdg",
        "TORCH_HOME": f"{CACHE_DIR}/torch",
        "MPLCONFIGDIR": f"{CACHE_DIR}/matplotlib",
        "NUMBA_CACHE_DIR": f"{CACHE_DIR}/numba",
    }
    size = len(json.dumps(variables, separators=(",", ":")))
    if size > LIMIT_BYTES:
        raise SettingsError(
            f"allowed_buckets: with {len(settings.allowed_buckets)} of them the function's environment takes {size:,} "
            f"bytes, and Lambda takes {LIMIT_BYTES:,}: name fewer buckets, or spread them over two stacks"
        )
    return variables
