"""The shapes' outlines: polygons about the size of the unit circle, filled (255) or cut out (0) one after the other."""

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]  # [corners, 2], x to the right, y down
Outline = tuple[tuple[Polygon, int], ...]


def _circle(radius: float = 1.0, x: float = 0.0) -> Polygon:
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([radius * np.cos(angles) + x, radius * np.sin(angles)], axis=1)


def _regular(corners: int) -> Polygon:
    angles = np.arange(corners) * 2 * np.pi / corners - np.pi / 2
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _star() -> Polygon:
    spikes = _regular(10)
    spikes[1::2] *= 0.42
    return spikes


def _heart() -> Polygon:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x, y - 2.5], axis=1) / 17


def _cross() -> Polygon:
    arm = 0.3  # half its width
    quarter = np.array([(arm, -arm), (arm, -0.95), (-arm, -0.95)])
    turns = [np.array([(np.cos(a), np.sin(a)), (-np.sin(a), np.cos(a))]) for a in -np.arange(4) * np.pi / 2]
    return np.concatenate([quarter @ turn for turn in turns])


OUTLINES: dict[str, Outline] = {
    "circle": ((_circle(), 255),),
    "square": ((_regular(4), 255),),
    "triangle": ((_regular(3), 255),),
    "star": ((_star(), 255),),
    "heart": ((_heart(), 255),),
    "cross": ((_cross(), 255),),
    "ring": ((_circle(), 255), (_circle(0.55), 0)),
    "moon": ((_circle(), 255), (_circle(0.85, x=0.5), 0)),
}
