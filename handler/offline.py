"""The offline environment: importing this module sets it, so it is the first import of `handler.app`.

huggingface_hub freezes these variables into constants when it is imported (huggingface_hub/constants.py), and
transformers and open_clip follow it. A variable set later is a variable not set.
"""

import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from types import ModuleType

from handler.errors import OfflineError
from handler.settings import cache_dir

OFFLINE_FLAGS = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")


def environment(cache_dir: Path) -> dict[str, str]:
    """Return the variables to set before a library is imported: no network, and no writes outside of `cache_dir`."""
    return {
        **dict.fromkeys(OFFLINE_FLAGS, "1"),
        "HF_HOME": str(cache_dir / "hf"),
        "HF_HUB_CACHE": str(cache_dir / "hub"),
        # Lambda's HOME is missing or not writable, and each of these libraries falls back to it.
        "HOME": str(cache_dir / "home"),
        "XDG_CACHE_HOME": str(cache_dir / "xdg"),
        "TORCH_HOME": str(cache_dir / "torch"),
        "MPLCONFIGDIR": str(cache_dir / "matplotlib"),
        "NUMBA_CACHE_DIR": str(cache_dir / "numba"),
    }


def enforce(environ: MutableMapping[str, str], modules: Mapping[str, ModuleType] = sys.modules) -> None:
    """Set the offline environment. Print each flag that was set to a value which would have left the network on.

    Raises OfflineError if huggingface_hub was imported before, and froze other values.
    """
    wanted = environment(cache_dir(environ))
    for flag in OFFLINE_FLAGS:
        if environ.get(flag, "1") != "1":
            # Curly quotes pasted from a blog post parse as false, and HF_HUB_OFFLINE=0 beats TRANSFORMERS_OFFLINE=1.
            print(f"openclip: {flag} was {environ[flag]!r}, which does not mean offline: set to '1'", file=sys.stderr)
    environ.update(wanted)
    environ.pop("HF_ENDPOINT", None)  # not needed offline, and a value that is not a URL makes the import fail
    # The matrix products of numpy are small here, and OpenBLAS's threads would spin during the cold start.
    environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _check_frozen(wanted, modules)


def _check_frozen(wanted: Mapping[str, str], modules: Mapping[str, ModuleType]) -> None:
    constants = modules.get("huggingface_hub.constants")
    if constants is None:
        return
    for name, expected in (("HF_HUB_OFFLINE", True), ("HF_HUB_CACHE", wanted["HF_HUB_CACHE"])):
        frozen = getattr(constants, name)
        if frozen != expected:
            raise OfflineError(
                f"huggingface_hub was imported before handler.offline and froze {name}={frozen!r} instead of "
                f"{expected!r}: make `handler.offline` the first import of the process, "
                f"or set {name} in the function's environment"
            )


enforce(os.environ)
