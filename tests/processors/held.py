"""What every run on another processor is held to."""

import json
from collections.abc import Sequence
from typing import Any

from tests.processors.emulated import Answers
from tests.processors.requests import differences

MIN_COSINE = 0.99999  # to the same engine on x86_64


def assert_same(events: Sequence[Any], found: Answers, wanted: Answers, least: float = MIN_COSINE) -> None:
    """Compare each response with another processor's."""
    triples = zip(events, found.responses, wanted.responses, strict=True)
    different = [line for triple in triples for line in differences(*triple, least)]
    assert not different, "\n".join(different)


def assert_log_is_ours(found: Answers, *expected: str) -> None:
    """Hold the log to a line for each request and the records of the handler's loggers, `expected` among them."""
    for line in found.stdout.splitlines():
        assert "_aws" in json.loads(line)
    lines = found.stderr.splitlines()
    assert not [line for line in lines if not line.startswith("handler.")], found.stderr
    assert not [text for text in expected if text not in found.stderr], found.stderr
