"""The function's environment: what `handler/settings.py` reads, and what libraries freeze when they are imported.

The handler sets the offline part itself, first of all; here it stands too, for whatever is imported before the handler.
"""

import json
import re
from collections.abc import Mapping

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
OF_MEMORY = ("model_memory_mb", "threads")  # which are meant for the API's `memory`
LIMIT_BYTES = 4096  # Lambda's, of all variables as JSON
LISTS = ("allowed_buckets", "search_url_buckets")  # settings of any length that come into an environment
TOKEN = re.compile(r"\$\{Token\[.*?]\}")  # CDK's, of a bucket's name that CloudFormation gives
LONGEST_NAME = 63  # of a bucket


def environment(
    settings: StackSettings, more: Mapping[str, str] | None = None, memory: int | None = None
) -> dict[str, str]:
    """Return the variables of a function, with `more` of its own.

    Where its `memory` (MB) is not the API's, the handler takes what that buys in place of the settings OF_MEMORY.
    CORS is none of the variables: the gateway answers for it (api.py). Raises SettingsError where Lambda takes fewer.
    """
    limits = [name for name in LIMITS if memory in (None, settings.memory) or name not in OF_MEMORY]
    variables = {
        "OPENCLIP_BUNDLE_DIR": BUNDLE_DIR,
        "OPENCLIP_CACHE_DIR": CACHE_DIR,
        "OPENCLIP_CACHE_MODE": settings.cache_mode,
        **{f"OPENCLIP_{name.upper()}": str(value) for name in limits if (value := getattr(settings, name)) is not None},
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
        **(more or {}),
    }
    _check_size(variables, settings)
    return variables


def _check_size(variables: Mapping[str, str], settings: StackSettings) -> None:
    known = {name: TOKEN.sub("x" * LONGEST_NAME, value) for name, value in variables.items()}
    size = len(json.dumps(known, separators=(",", ":")))
    if size > LIMIT_BYTES:
        lists = [name for name in LISTS if f"OPENCLIP_{name.upper()}" in variables]
        count = sum(len(getattr(settings, name)) for name in lists)
        raise SettingsError(
            f"{', '.join(lists)}: with {count} of them the function's environment takes {size:,} bytes, and Lambda "
            f"takes {LIMIT_BYTES:,}: name fewer buckets, or spread them over two stacks"
        )
