"""The function's environment: what `handler/settings.py` reads, and what libraries freeze when they are imported.

The handler sets the offline part itself, first of all; here it stands too, for whatever is imported before the handler.
"""

from infra.settings import StackSettings

BUNDLE_DIR = "/opt/openclip"  # where image and layer alike have it
CACHE_DIR = "/tmp/openclip"  # noqa: S108 - the one writable place in Lambda


def environment(settings: StackSettings) -> dict[str, str]:
    """Return the variables of the function; Lambda takes 4 KB of them in all."""
    return {
        "OPENCLIP_BUNDLE_DIR": BUNDLE_DIR,
        "OPENCLIP_CACHE_DIR": CACHE_DIR,
        "OPENCLIP_CACHE_MODE": settings.cache_mode,
        **({"OPENCLIP_THREADS": str(settings.threads)} if settings.threads else {}),
        **({"OPENCLIP_ALLOWED_BUCKETS": ",".join(settings.allowed_buckets)} if settings.allowed_buckets else {}),
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
