"""The settings of a batch from environment variables, besides those of the handler."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from handler.errors import SettingsError

VECTORS = ("float32", "int8")


class BatchSettings(NamedTuple):
    """`output` is the bucket for plans and results. `max_failed` is a share of a shard's images, from 0 to 1.

    `vectors` is the type of their numbers, float32 or int8.
    """

    output: str
    max_failed: float = 0.5
    vectors: str = "float32"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "BatchSettings":
        """Read the `OPENCLIP_BATCH_` variables. Raises SettingsError."""
        output = environ.get("OPENCLIP_BATCH_OUTPUT", "")
        if not output:
            raise SettingsError("OPENCLIP_BATCH_OUTPUT is not set: name the bucket that plans and results lie in")
        vectors = environ.get("OPENCLIP_BATCH_VECTORS", "float32")
        if vectors not in VECTORS:
            raise SettingsError(f"OPENCLIP_BATCH_VECTORS is {vectors!r}: set it to {' or '.join(VECTORS)}")
        failed = environ.get("OPENCLIP_BATCH_MAX_FAILED", str(cls._field_defaults["max_failed"]))
        return cls(output, share(failed), vectors)


def share(text: str) -> float:
    """Read a share. Raises SettingsError for what is none."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise SettingsError(
            f"the share of images that may fail is {text!r}: set it to a number from 0 to 1, such as 0.5"
        )
    return value
