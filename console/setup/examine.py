"""Make all checks at once, within seconds: one without an answer in time is reported as that."""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from console.setup import aws, machine
from console.setup.check import MISSING, Check, unknown

SECONDS = 2.5
HELPERS = 20_000_000  # bytes: the deployment's own small functions, and a batch's, which are the same zip once more
PURPOSES = ("build", "serve", "package", "deploy")
# What each purpose cannot do without; the rest is told, and refuses nothing.
NEEDED = {
    "build": {"Python", "disk"},
    "serve": {"Python", "bundle", "port"},
    "package": {"Python", "disk", "bundle"},
    "deploy": {
        *("Python", "Node", "Docker", "disk", "package"),
        *("credentials", "region", "quotas", "resource type", "stack"),
    },
}


class Asked(NamedTuple):
    """What is to be looked at: where things are, the port of `make serve`, and the profile and region of AWS.

    `types` are CloudFormation's of resources, which not every region has, each with what to do where it has not.
    `stacks` are names that another stack may have, each with the description of ours.
    `kept` are settings that keep executions of the account's concurrency, each with how many.
    """

    bundle: Path = Path("build/bundle")
    port: int = 8080
    profile: str | None = None
    region: str | None = None
    seconds: float = SECONDS
    types: tuple[tuple[str, str], ...] = ()
    stacks: tuple[tuple[str, str], ...] = ()
    kept: tuple[tuple[str, int], ...] = ()


Look = Callable[[], "Iterable[Check] | Check"]


def examine(asked: Asked) -> list[Check]:
    """Return every check, in a fixed order; the slow ones run beside each other, for `asked.seconds` at most."""
    build = asked.bundle.parent
    looks: dict[str, Look] = {
        "Python": machine.python,
        "directory": machine.directory,
        "disk": lambda: machine.disk(build),
        "network": machine.network,
        "bundle": lambda: machine.bundle(asked.bundle),
        "port": lambda: machine.port(asked.port),
        "Node": machine.node,
        "package": lambda: machine.package(build),
        "Docker": lambda: machine.docker(build, asked.seconds - 0.3),
        "credentials": lambda: list(
            aws.account(asked.profile, asked.region, asked.types, asked.stacks, _room(build, asked.kept))
        ),
    }
    found: dict[str, list[Check]] = {}

    def run(name: str, look: Look) -> None:
        try:
            made = look()
        except Exception as error:  # noqa: BLE001 - a check that fails says so, and the others are told
            made = unknown(name, f"cannot be told ({type(error).__name__}: {error})")
        found[name] = [made] if isinstance(made, Check) else list(made)

    threads = [threading.Thread(target=run, args=row, daemon=True) for row in looks.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + asked.seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    late = f"no answer within {asked.seconds:g} s"
    return [
        check for name in looks for check in found.get(name) or [unknown(name, late, "try again, or check it by hand")]
    ]


def _room(build: Path, kept: tuple[tuple[str, int], ...]) -> aws.Room:
    packaged = machine.code_bytes(build)
    return aws.Room(kept=kept) if packaged is None else aws.Room(packaged + HELPERS, kept)


def stops(checks: "Iterable[Check]", purpose: str) -> list[Check]:
    """Return the failed checks that a purpose depends on."""
    return [check for check in checks if check.state == MISSING and check.name in NEEDED[purpose]]
