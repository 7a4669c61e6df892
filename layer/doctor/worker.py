"""One examination in this process, whose memory is limited. Each finding is printed as a line of JSON."""

import contextlib
import json
import resource
import sys
from dataclasses import asdict

from layer.doctor.examine import findings
from layer.errors import DoctorError
from layer.findings.finding import Finding

MEMORY = 480_000_000  # bytes of address space


def main(what: str, name: str, seconds: str) -> None:
    """Examine, and print each finding as soon as it is made; the last line says that all was examined."""
    with contextlib.suppress(ValueError, OSError):  # macOS has no such limit: there the readers' own limits hold
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        for finding in findings(what, float(seconds), name):
            _write(asdict(finding))
    except DoctorError as error:
        _write({"refused": str(error)})
    except MemoryError:
        _write(asdict(Finding("too-much-to-examine", name, f"it would need more than {MEMORY // 10**6} MB of memory")))
    _write({"done": True})


def _write(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("error: `python -m layer doctor` starts this process; run that")
    main(*sys.argv[1:])
