"""Contenders that need no library: one that is right, and some that end."""

import os
import time
from typing import TYPE_CHECKING

from benchmarks.peers.contender import Setup

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Right:
    """Gives back what it is given, as embeddings."""

    def __init__(self, setup: Setup) -> None:
        assert setup.threads

    def first(self, image: bytes, caption: str) -> None:
        """Do nothing."""

    def images(self, pixels: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Return the pixels."""
        return pixels

    def captions(self, ids: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Return the ids."""
        return ids


class Slow(Right):
    """Takes a tenth of a second for anything."""

    def images(self, pixels: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Wait, then return the pixels."""
        time.sleep(0.1)
        return pixels


class NoStart(Right):
    """Ends while it is loaded."""

    def __init__(self, setup: Setup) -> None:
        raise ImportError("\nlibfast.so is for another processor\ninstall another")


class Killed(Right):
    """Is ended by the kernel at 8 images."""

    def images(self, pixels: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Embed a few."""
        if len(pixels) == 8:
            os.kill(os.getpid(), 9)
        return pixels


class Hangs(Right):
    """Never answers captions."""

    def captions(self, ids: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Wait."""
        time.sleep(600)
        return ids
