"""The AWS account: credentials, region, quotas, CDK's bootstrap. Only calls that cost nothing, and none that write."""

import os
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from console.setup.check import OK, Check, missing, ok, unknown

SECONDS = 1.5  # to connect, and to answer
NO_CREDENTIALS = (
    "run `aws login`, `aws sso login` or `aws configure`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY"
)
FEW = 100  # executions at once, which Lambda keeps unreserved; a new account has 10 or 50
CODE = 300_000_000  # bytes: zips of any package, whose layers and function have 262 MB unpacked at most
NO_RESERVE = "Lambda keeps as many unreserved: reserved_concurrency cannot be set until it is raised"
RESOURCE_TYPE = "resource type"
STACK = "stack"
REGION = re.compile(r"[a-z]+(-[a-z]+)+-[0-9]+")
NO_RESOURCES = "REVIEW_IN_PROGRESS"  # of a stack of which nothing but a change set was ever made
BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"  # of CDK's default qualifier


class Room(NamedTuple):
    """What a deployment takes of Lambda's quotas: bytes of zips, and for each setting executions that it keeps."""

    code: int = CODE
    kept: tuple[tuple[str, int], ...] = ()


def account(
    profile: str | None,
    region: str | None,
    types: Sequence[tuple[str, str]] = (),
    stacks: Sequence[tuple[str, str]] = (),
    room: Room = Room(),  # noqa: B008 - it cannot be changed
) -> Iterator[Check]:
    """Look for credentials and a region, then ask the account: who it is, Lambda's quotas, whether CDK was set up.

    `types` are pairs of a CloudFormation resource type and a fix; the region is asked whether it has each type.
    `stacks` are pairs of a name and a description; the region is asked whether another stack has that name.
    """
    from botocore.exceptions import BotoCoreError  # late: where nothing is installed, the rest is told all the same
    from botocore.session import Session

    try:
        session = Session(profile=profile)
        where = _region(region_of(session, region))
        found, unread = credentials_of(session)
    except BotoCoreError as error:
        yield missing("credentials", str(error), "check ~/.aws/config and AWS_PROFILE")
        return
    if unread:
        yield unknown("credentials", f"those of {unread}, which are not read here", f"for all checks {export(profile)}")
        yield where
        return
    if found is None:
        yield missing("credentials", "no AWS credentials found", NO_CREDENTIALS)
        return
    yield where
    if where.state == OK:
        yield from _asked(session, where.found, types, stacks, room)
    else:
        yield ok("credentials", found.method)


def credentials_of(session: Any) -> tuple[Any, str | None]:
    """Return credentials, None without any; and what they are of where CDK reads them and botocore here does not."""
    from botocore.exceptions import MissingDependencyException

    try:
        found = session.get_credentials()
    except MissingDependencyException:  # a library for them alone
        return None, "`aws login`"
    if found is not None and found.method == "assume-role" and _wants_code(session):
        return found, "a role that wants an MFA code"
    return found, None


def _wants_code(session: Any) -> bool:
    """Tell whether the profile's role, or one that it is taken by, wants an MFA code, for which CDK asks.

    botocore would ask for it, too, at the first request. A check that ends before the answer leaves the terminal
    without echo, and no code is taken twice.
    """
    profiles, name, seen = session.full_config.get("profiles", {}), session.profile or "default", set[str]()
    while name and name not in seen:
        seen.add(name)
        profile = profiles.get(name, {})
        if "role_arn" in profile and "mfa_serial" in profile:
            return True
        name = profile.get("source_profile")
    return False


def ended() -> tuple[type[Exception], ...]:
    """Return botocore's errors of a sign-in that has ended, or never was. They come with the first request."""
    from botocore.exceptions import CredentialRetrievalError, LoginError, SSOError, TokenRetrievalError

    return CredentialRetrievalError, LoginError, SSOError, TokenRetrievalError


def export(profile: str | None) -> str:
    """Say how credentials of every kind come into the environment: AWS CLI, "configure export-credentials"."""
    of = f" --profile {shlex.quote(profile)}" if profile else ""
    then = ", and name no profile then" if profile else ""
    return f'run `eval "$(aws configure export-credentials{of} --format env)"` first{then}'


def _region(name: str | None) -> Check:
    if not name:
        return missing("region", "none is set", "set AWS_REGION, as in export AWS_REGION=eu-central-1")
    if not REGION.fullmatch(name):
        fix = "write it as in AWS_REGION=eu-central-1: not a zone of it (eu-central-1a), no name in words, no quotes"
        return missing("region", f"{name!r} is no region", fix)
    return ok("region", name)


def region_of(session: Any, given: str | None = None) -> str | None:
    """Return the region as the CDK CLI finds it: the given one, AWS_REGION (which botocore does not read), the rest."""
    return given or os.environ.get("AWS_REGION") or session.get_config_variable("region")


def _asked(
    session: Any, region: str, types: Sequence[tuple[str, str]], stacks: Sequence[tuple[str, str]], room: Room
) -> Iterator[Check]:
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 1})

    def client(service: str) -> Any:
        return session.create_client(service, region_name=region, config=config)

    try:
        identity = client("sts").get_caller_identity()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        yield missing("credentials", f"AWS refuses them ({code})", f"they are wrong or have ended: {NO_CREDENTIALS}")
        return
    except ended() as error:
        yield missing("credentials", str(error), NO_CREDENTIALS)
        return
    except (BotoCoreError, ValueError) as error:
        yield unknown("credentials", f"AWS is not reached in {region} ({type(error).__name__})", "check the network")
        return
    yield ok("credentials", f"account {identity['Account']}, {identity['Arn'].rpartition(':')[2]}")
    looks: list[tuple[str, Callable[[Any, str], Check]]] = [
        ("quotas", partial(_quotas, room)),
        ("bootstrap", _bootstrap),
    ]
    looks += [(RESOURCE_TYPE, partial(_resource_type, *one)) for one in types]
    looks += [(STACK, partial(_stack, *one)) for one in stacks]
    for name, look in looks:
        try:
            yield look(client, region)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            yield unknown(name, f"not told ({code}): these credentials may not ask")
        except (BotoCoreError, ValueError, KeyError) as error:
            yield unknown(name, f"not told ({type(error).__name__})")


def _quotas(room: Room, client: Any, region: str) -> Check:
    settings = client("lambda").get_account_settings()
    at_once = settings["AccountLimit"]["ConcurrentExecutions"]
    left = settings["AccountLimit"]["TotalCodeSize"] - settings["AccountUsage"]["TotalCodeSize"]
    found = f"{at_once:,} executions at once, {left / 1e9:,.1f} GB left for code, in {region}"
    if left < room.code:
        return missing("quotas", found, "delete old functions and versions, or raise it in Service Quotas")
    most = max(0, at_once - FEW)  # PutFunctionConcurrency refuses more, whatever else is reserved
    if names := " and ".join(name for name, kept in room.kept if kept > most):
        fix = f"leave {names} out until Service Quotas has raised it"
        if most:
            fix = f"Lambda keeps {FEW} unreserved: set {names} to {most} at most, or have Service Quotas raise it"
        return missing("quotas", f"the account may run {found}", fix)
    if at_once <= FEW:
        return unknown("quotas", found, NO_RESERVE)
    return ok("quotas", found)


def _bootstrap(client: Any, region: str) -> Check:
    from botocore.exceptions import ClientError

    try:
        version = client("ssm").get_parameter(Name=BOOTSTRAP)["Parameter"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        return missing("bootstrap", f"CDK has not been set up in {region}", "run `make bootstrap` once")
    return ok("bootstrap", f"version {version}")


def _resource_type(name: str, fix: str, client: Any, region: str) -> Check:
    """Ask CloudFormation for a type. Of AWS's own it has those of the region: no list of regions can grow old."""
    from botocore.exceptions import ClientError

    try:
        client("cloudformation").describe_type(Type="RESOURCE", TypeName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "TypeNotFoundException":
            raise
        return missing(RESOURCE_TYPE, f"CloudFormation has no {name} in {region}", fix)
    return ok(RESOURCE_TYPE, name)


def _stack(name: str, told: str, client: Any, region: str) -> Check:
    """Ask whether another stack has this name: CDK would put ours in its place, and delete what is in it."""
    from botocore.exceptions import BotoCoreError, ClientError

    cloudformation = client("cloudformation")
    try:
        [found] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise
        return ok(STACK, f"{name} is not deployed")
    if found["StackStatus"] == NO_RESOURCES:
        return ok(STACK, f"{name} is not deployed")
    text = found.get("Description", "")
    if not text:  # emulators of AWS leave it out where a change set made the stack
        with suppress(ClientError, BotoCoreError):  # then it has none, and is somebody's
            text = cloudformation.get_template_summary(StackName=name).get("Description", "")
    if text == told:
        return ok(STACK, f"{name} is deployed")
    other = f"{region} has another stack {name} (its description: {text or 'none'}), which would be replaced or deleted"
    return missing(STACK, other, "give this one a name of its own, as with -c stack_name=openclip-2")
