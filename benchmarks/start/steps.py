"""The steps of a start, and how the seconds of its clock are shared out among them."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

OTHER = "other"
# In the order in which they begin. What each is, in a sentence that the page has.
STEPS = {
    "interpreter": "Linux starts Python, which imports what it needs itself.",
    "handler": "The handler's own modules, and those of Python's standard library that they use, are imported.",
    "manifest": "`manifest.json` is read and hashed, and each file that it names is looked up and its size compared.",
    "shared libraries": "numpy, Pillow, tokenizers and ftfy are imported, which every engine uses.",
    "engine": "The engine's library is imported and set up: ONNX Runtime, OpenVINO, or torch with open_clip.",
    "cache links": "`torch` only: the Hugging Face cache that open_clip looks into is made of links in `/tmp`.",
    "both towers": "`torch` only: open_clip builds both towers and reads their weights, whatever the request needs.",
    "image tower": "The image tower is read and compiled (`onnx` packs its weights here, too).",
    "image tower, packing": "`openvino` only: a first run on zeros packs the weights for this processor.",
    "text tower": "The same for the text tower.",
    "text tower, packing": "The same for the text tower.",
    "tokenizer": "The vocabulary is read, and the caption becomes token ids.",
    "image": "The photograph is decoded, resized and normalized.",
    "first run": "The towers run on the request.",
    "answer": "The rest of the call: the event is read, the numbers are written as JSON, the metrics are told.",
    OTHER: "Everything else: threads that start or wait, and work that none of the above names.",
}


class Span(NamedTuple):
    """A thread was in a step, or waited for another thread (`step` is None), between two seconds of one clock."""

    thread: int
    step: str | None
    first: float
    last: float


def shares(spans: Iterable[Span], first: float, last: float) -> dict[str, float]:
    """Return the seconds of every step between two moments; together they are all that passed.

    A thread is in the innermost of its spans, which is the one that began last. At a moment when several threads are in
    steps, each step has its share of the time. At a moment when none is, the time is OTHER's.
    """
    spans = [span for span in spans if span.last > first and span.first < last]
    moments = sorted({first, last, *(m for s in spans for m in (s.first, s.last) if first < m < last)})
    found = dict.fromkeys(STEPS, 0.0)
    for start, end in pairwise(moments):
        steps = _active([span for span in spans if span.first <= start and span.last >= end]) or [OTHER]
        for step in steps:
            found[step] += (end - start) / len(steps)
    return found


def _active(spans: Sequence[Span]) -> list[str]:
    innermost: dict[int, Span] = {}
    for span in spans:
        known = innermost.get(span.thread)
        if known is None or (span.first, -span.last) >= (known.first, -known.last):
            innermost[span.thread] = span
    return [span.step for span in innermost.values() if span.step is not None]
