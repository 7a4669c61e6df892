"""Let the other checks go on if one of them cannot read a file."""

from collections.abc import Iterator

from layer.doctor.limits import UnreadableError
from layer.findings.finding import Finding


def guarded(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield the findings; a file that cannot be read becomes the last one."""
    try:
        yield from findings
    except UnreadableError as error:
        yield Finding("unreadable", error.where, error.reason)
