"""The doctor's report."""

from collections.abc import Sequence

from layer.doctor.finding import Finding


def show(what: str, findings: Sequence[Finding]) -> None:
    """Print each finding with its place and its mend."""
    for finding in findings:
        print(f"{'error' if finding.fatal else 'warning'}: {finding.code}: {finding.where}")
        print(f"  {finding.what}")
        print(f"  mend: {finding.mend}")
    errors = sum(finding.fatal for finding in findings)
    print(f"{what}: {errors} errors, {len(findings) - errors} warnings")
