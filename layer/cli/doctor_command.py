"""`python -m layer doctor`: what is wrong with files that somebody made, and with this machine."""

import argparse
from pathlib import Path

from console.parser import Parser, count
from console.setup.check import MISSING, Check
from console.setup.examine import PURPOSES, Asked, stops
from console.setup.examine import examine as examine_setup
from layer.cli import columns
from layer.cli.printer import BUNDLE, printer
from layer.errors import DoctorError
from layer.findings.printable import printable


def add(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    doctor = commands.add_parser(
        "doctor", help="say what is wrong with a cache, an image, a zip, a log, a function or this machine; and the fix"
    )
    doctor.add_argument(
        "what", nargs="?", help="a directory, an image (by name, or saved), a zip, a log (or - for stdin), an address"
    )
    doctor.add_argument(
        "--timeout", type=count, default=30, metavar="SECONDS", help="for the examination (default: 30)"
    )
    setup = doctor.add_argument_group("this machine and the AWS account, before anything long begins")
    setup.add_argument("--setup", action="store_true", help="Python, Node, Docker, disk, network, credentials, quotas")
    setup.add_argument(
        "--for", dest="purpose", choices=PURPOSES, default="build", help="exit with 1 where it cannot be"
    )
    setup.add_argument("--bundle", type=Path, default=BUNDLE, help="default: %(default)s")
    setup.add_argument("--port", type=count, default=8080, help="of `make serve` (default: %(default)s)")
    setup.add_argument("--profile", help="of the AWS configuration")
    setup.add_argument("--region", help="of AWS")
    doctor.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.setup:
        return _setup(options)
    if options.what is None:
        raise DoctorError("nothing to examine: name a directory, an image, a zip, a log or an address, or give --setup")
    from layer.doctor.own_process import examine
    from layer.doctor.show import show

    findings = examine(options.what, options.timeout)
    if options.json:
        printer(options).show_findings(options.what, findings)
    else:
        show(options.what, findings)
    return 1 if any(finding.fatal for finding in findings) else 0


def _setup(options: argparse.Namespace) -> int:
    if options.what is not None:
        raise DoctorError("--setup looks at this machine: leave out what else is to be examined")
    checks = examine_setup(Asked(options.bundle, options.port, options.profile, options.region))
    if options.json:
        printer(options).show_setup(options.purpose, checks)
    else:
        _show(options.purpose, checks)
    return 1 if stops(checks, options.purpose) else 0


def _show(purpose: str, checks: list[Check]) -> None:
    """Print what was found, and below it what to do: first what `purpose` cannot do without."""
    columns.show(("", "", "found"), ((check.name, check.state, printable(check.found)) for check in checks))
    needed = stops(checks, purpose)
    others = [check for check in checks if check.fix and check not in needed]
    if needed:
        print(f"\nTo {purpose}:")
        for check in needed:
            print(f"  {check.name}: {printable(check.fix)}")
    if others:
        print("\nOther purposes may need:" if any(check.state == MISSING for check in others) else "\nNotes:")
        for check in others:
            print(f"  {check.name}: {printable(check.fix)}")
    if not needed:
        print(f"\nready to {purpose}")
