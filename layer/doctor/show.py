"""The doctor's report."""

import sys
from collections.abc import Sequence

from console.counts import counted
from layer.findings.finding import Finding
from layer.findings.printable import printable


def show(what: str, findings: Sequence[Finding]) -> None:
    """Print each finding with its place and its fix."""
    for finding in findings:
        _print(f"{'error' if finding.fatal else 'warning'}: {finding.code}: {finding.where}")
        _print(f"  {finding.what}")
        _print(f"  fix: {finding.fix}")
    errors = sum(finding.fatal for finding in findings)
    _print(f"{printable(what)}: {counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}")


def _print(line: str) -> None:
    encoding = (sys.stdout.encoding if sys.stdout else None) or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding))
