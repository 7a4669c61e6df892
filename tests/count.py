"""How many tests of each kind ran: `python -m tests.count`, after `make test`.

`--expect` names kinds of which at least one test must have run, and none been skipped. With it the code blocks of the
documents are looked for, too, which no test has read: see documents.py.
"""

import argparse
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tests import documents

REPORTS = Path("build/tests")


def main() -> int:
    """Print one line for each kind; the exit status is 1 where an expected kind did not run wholly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expect", nargs="*", default=[])
    expected = parser.parse_args().expect
    wrong = set(expected)
    for report in sorted(REPORTS.glob("*.xml")):
        suite = ElementTree.parse(report).getroot().find("testsuite")  # noqa: S314 - pytest wrote it just now
        assert suite is not None, f"{report} is not pytest's"
        ran, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
        print(f"tests/{report.stem:10} {ran - skipped:5} ran {skipped:4} skipped {float(suite.attrib['time']):6.0f} s")
        if ran and not skipped:
            wrong.discard(report.stem)
    if wrong:
        print(f"not run, or not wholly: {', '.join(sorted(wrong))}", file=sys.stderr)
    unread = documents.unread() if expected else []
    for line in unread:
        print(f"not executed: {line}", file=sys.stderr)
    return 1 if wrong or unread else 0


if __name__ == "__main__":
    sys.exit(main())
