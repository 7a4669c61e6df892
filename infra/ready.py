"""`python -m infra.ready`: what a deployment needs of this machine and account, told before CDK spends half a minute.

It takes the CDK CLI's arguments and heeds `--profile`, `--region` and, given with `-c` or in cdk.json, the settings
with which a deployment to this account or region would fail after some minutes.
AWS is asked what costs nothing: whose the credentials are, Lambda's quotas, whether CDK was set up, whether another
stack has the name of this one, and whether the region has S3 Vectors where the search is kept there. A note
says where a region may have no SnapStart.
`python -m layer doctor --setup` tells more.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from console.parser import Parser
from console.run import run
from console.setup.check import MISSING, OK, Check, missing
from console.setup.examine import Asked, examine, stops
from infra import command_line, stack_names
from infra.errors import InfraError

SECONDS = 20  # a Docker engine may have to wake up
# What CloudFormation has to know for search=s3vectors, and what to do where it does not.
VECTORS = ("AWS::S3Vectors::VectorBucket", "set search=lance, or deploy to a region that has S3 Vectors")
KEPT = ("reserved_concurrency", "provisioned_concurrency")
DIGITS = 20  # of a number: more than any account's concurrency has
# AWS Lambda, "Supported Regions" of SnapStart, and "Feature Availability" in China. No call tells it, and the list may
# have become shorter since, so that nothing is refused by it.
NO_SNAP_START, LISTED = re.compile(r"(cn|us-gov)-.+|ap-east-2|ap-southeast-6"), "December 2026"
OFF = ("0", "false", "off", "no", "n", "f")  # as pydantic reads a setting
TO_DESTROY = ("Node", "credentials", "region", "stack")  # CloudFormation deletes: nothing is built, uploaded or kept


class NotReadyError(InfraError):
    """The machine or the account lacks what a deployment needs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, and say nothing where all is there; returns the exit status."""
    return run(lambda: _command(arguments), (InfraError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m infra.ready", description=__doc__, allow_abbrev=False)
    parser.add_argument("--deploying", action="store_true", help="what `make bootstrap` does must have been done, too")
    parser.add_argument("--destroying", action="store_true", help="neither Docker nor room for code is needed")
    given = command_line.read(parser, arguments)
    options = given.options
    build = Path(os.path.expanduser(str(given.context.get("build_dir", "build"))))  # noqa: PTH111 - as StackSettings
    types = (VECTORS,) if given.context.get("search") == "s3vectors" else ()
    stacks = stack_names.described(given.context) if options.deploying or options.destroying else ()
    asked = Asked(build / "bundle", profile=given.profile, region=given.region, seconds=SECONDS)
    checks = examine(asked._replace(types=types, stacks=stacks, kept=_kept(given.context)))
    known = {check.name: check for check in checks}
    # The app says more exactly what is wrong with a package, and which of its own libraries are missing.
    problems = [check for check in stops(checks, "deploy") if check.name not in ("package", "Python")]
    if options.destroying:
        problems = [check for check in problems if check.name in TO_DESTROY]
    own_bootstrap = any(key.endswith(":bootstrapQualifier") for key in given.context)
    if options.deploying and not own_bootstrap and (found := known.get("bootstrap")) and found.state == MISSING:
        problems.append(found)
    if not options.destroying:
        problems += _other_region(given.context.get("alarm_topic_arn"), known.get("region"))
    if problems:
        raise NotReadyError("\n".join(f"{check.found}: {check.fix}" for check in problems))
    if options.deploying and (note := _snap_start_note(given.context.get("snap_start", True), known.get("region"))):
        print(note, file=sys.stderr)


def _snap_start_note(wanted: object, region: Check | None) -> str | None:
    """Say that the region may have no snapshots of Python functions; None where it has them, or none are wanted."""
    if region is None or not NO_SNAP_START.fullmatch(region.found) or str(wanted).lower() in OFF:
        return None
    return (
        f"note: AWS's list of {LISTED} has no SnapStart for Python in {region.found}. If CloudFormation refuses the "
        "function for it, deploy with -c snap_start=false"
    )


def _other_region(topic: object, region: Check | None) -> list[Check]:
    """Return what is wrong with a topic that CloudWatch refuses for an alarm of this region; what else is, synth says.

    It would after some minutes, when all the functions are made, and the deployment would be rolled back.
    """
    theirs = topic.split(":")[3:4] if isinstance(topic, str) else []
    if region is None or region.state != OK or not theirs or theirs[0] == region.found:
        return []
    found = f"alarm_topic_arn is a topic in {theirs[0]}, and this deploys to {region.found}"
    return [missing("alarm topic", found, f"name one in {region.found}: CloudWatch notifies topics of its own region")]


def _kept(context: Mapping[str, object]) -> tuple[tuple[str, int], ...]:
    """Return the settings that keep executions for the function, with how many; what is no number, synth names."""
    found = {name: str(context.get(name, "")).strip() for name in KEPT}
    return tuple((name, int(text[:DIGITS])) for name, text in found.items() if text.isdecimal())


if __name__ == "__main__":
    sys.exit(main())
