"""Let the checks go on where one of them cannot read what it asks for."""

from collections.abc import Iterator

from layer.doctor.limits import UnreadableError
from layer.findings.finding import Finding


def guarded(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield the findings, and one more where what they are made of cannot be read."""
    try:
        yield from findings
    except UnreadableError as error:
        yield Finding("unreadable", error.where, error.reason)
