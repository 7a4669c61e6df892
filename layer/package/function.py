"""The configuration of a function that runs the package, the same for every tool that deploys it."""

from typing import Any

from layer.package import image
from layer.registry import lambda_limits
from layer.spec import Target

CACHE_DIR = "/tmp/openclip"  # noqa: S108 - the one writable place in Lambda
# Offline, and nothing written but in /tmp: the Dockerfile has these too, and handler/offline.py holds them to it.
ENVIRONMENT = {
    "OPENCLIP_BUNDLE_DIR": "/opt/openclip",
    "OPENCLIP_CACHE_DIR": CACHE_DIR,
    "OPENCLIP_CACHE_MODE": "link",
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


def configuration(target: Target, layers: list[str]) -> dict[str, Any]:
    """Return handler, runtime, architecture, environment, and `layers`, the first to the last; none for an image."""
    zipped = not lambda_limits.SHAPES[target.package].on_base_image
    return {
        "handler": image.COMMAND,
        "runtime": f"python{target.python}",
        "architecture": target.architecture,
        "environment": ENVIRONMENT,
        "layers": layers if zipped else [],
    }
