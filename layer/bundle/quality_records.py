"""The part of manifest.json that says what was measured of a model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One share of an evaluation, from 0 to 1, with its interval; `loss` is open_clip's share less this one.

    `output` is "open_clip" (fp32), or what the API returns of the bundle's engine: "float", "int8", "binary".
    """

    output: str
    metric: str
    value: float
    low: float
    high: float
    loss: float
    loss_low: float
    loss_high: float


@dataclass(frozen=True)
class Certificate:
    """What was measured on somebody's images: `kind` is "pairs" or "labels", `sha256` is of the data's contents."""

    kind: str
    data: str
    sha256: str
    images: int
    given: int  # images that could be used, of which a sample was measured
    texts: int
    left_out: int
    templates: list[str]
    resamples: int
    seed: int
    confidence: float
    created_at: str
    figures: list[Figure]
