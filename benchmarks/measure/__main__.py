"""`python -m benchmarks.measure`: cold start, latency, throughput and cost of your package, on your AWS account.

A stack of its own is deployed for each package, measured, and destroyed again, also after Ctrl-C. The estimate of the
cost comes first, and nothing is created where it is over the budget. docs/measurements.md describes what is measured.
"""

import os
import subprocess
import sys
import tempfile
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from benchmarks import ROOT
from benchmarks.measure import account as accounts
from benchmarks.measure import builds, estimate, stack
from benchmarks.measure.errors import BudgetError, MeasureError
from benchmarks.measure.leftovers import Records
from benchmarks.measure.phases import workloads
from benchmarks.measure.plan import ARCHITECTURES, MEMORY, SHAPES, Plan, Target, plan
from benchmarks.measure.run import Run, Wanted, clean
from benchmarks.measure.stopping import Stopping, stopping
from console.parser import Parser, count
from console.run import run

STOPPED = "stopped: what was deployed is destroyed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or clean up; returns the exit status."""
    return run(lambda: _command(arguments), (MeasureError, BotoCoreError, ClientError), STOPPED)


def _parser() -> Parser:
    parser = Parser(prog="python -m benchmarks.measure", description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--budget", type=_dollars, default=1.0, help="dollars (default: %(default)s)")
    parser.add_argument("--shapes", type=_names(SHAPES), help="image, layer, or both as image,layer (as built)")
    parser.add_argument("--architectures", type=_names(ARCHITECTURES), help="likewise x86_64,arm64 (as built)")
    parser.add_argument("--memory", type=count, nargs="+", default=list(MEMORY), help="MB (default: 1024 1769 3008)")
    parser.add_argument(
        "--starts", type=count, default=30, help="forced cold starts of each kind and size (default: 30)"
    )
    parser.add_argument("--requests", type=count, default=50, help="warm, of each kind and size (default: 50)")
    parser.add_argument(
        "--concurrency", type=count, nargs="+", default=[1, 2, 4, 8, 16], help="callers at once (default: 1 2 4 8 16)"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each such level (default: %(default)s)")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where `make package` wrote (default: build)")
    parser.add_argument(
        "--models", type=Path, default=Path("layer/models.toml"), help="builds other targets (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=Path("measurements"), help="default: %(default)s")
    parser.add_argument("--profile", help="of the AWS configuration")
    parser.add_argument("--region", help="default: that of the environment or the profile")
    parser.add_argument("-c", "--context", action="append", default=[], help="a setting of the stack, as timeout=120")
    parser.add_argument("--cdk", type=Path, default=stack.CDK, help="the CDK CLI (default: the one of `make deploy`)")
    parser.add_argument("--estimate", action="store_true", help="tell what it would cost, and end")
    parser.add_argument("--clean", action="store_true", help="destroy what a killed run left behind, and end")
    return parser


def _command(arguments: Sequence[str] | None) -> None:
    options = _parser().parse_args(arguments)
    with stopping(ends_process=True) as state:
        account = accounts.find(options.profile, options.region)
        if options.clean:
            _clean(options, account, state)
            return
        wanted = _wanted(options, account)
        _estimate(wanted, account, state)
        if options.estimate:
            return
        _check_machine(options, wanted, account)
        Run(account, wanted, state).all()
        state.say(
            "nothing of it is left in the account but the key of its logs, which AWS deletes after 7 days, unbilled"
        )


def _clean(options: Namespace, account: accounts.Account, state: Stopping) -> None:
    records = Records(options.output)
    with records.locked(state):
        if not records.all():
            state.say(f"nothing is left: {options.output} has no record of a stack")
        clean(records, account, state)


def _wanted(options: Namespace, account: accounts.Account) -> Wanted:
    """Put together what is asked for. Raises MeasureError for what cannot be, before anything is done."""
    given = builds.read(options.build)
    shapes, architectures = (
        options.shapes or (given.target.shape,),
        options.architectures or (given.target.architecture,),
    )
    targets = [Target(shape, architecture) for shape in shapes for architecture in architectures]
    for pair in options.context:
        key = pair.partition("=")[0]
        if key not in stack.MORE and not stack.is_flag(key):
            raise MeasureError(
                f"-c {pair}: give one of {', '.join(stack.MORE)}; a measured stack has no other settings"
            )
    wanted: Plan = plan(
        options.memory, options.starts, options.requests, options.concurrency, options.seconds, account.free
    )
    return Wanted(
        wanted, targets, given, options.models, options.output, options.budget, options.context, options.cdk.absolute()
    )


def _estimate(wanted: Wanted, account: accounts.Account, state: Stopping) -> None:
    """Print the estimate. Raises BudgetError where it is over the budget."""
    found = estimate.lines(wanted.plan, wanted.targets, [kind.items for kind in workloads()])
    where = f"account {account.number}, {account.region}"
    if account.platform != accounts.AWS:
        where = "an EMULATOR, which bills nothing; on AWS it would be"
    state.say(f"[estimate] {'; '.join(map(str, wanted.targets))}: {where}\n{estimate.table(found)}")
    if (dollars := estimate.total(found)) > wanted.budget:
        raise BudgetError(
            f"the estimate of ${dollars:.2f} is over the budget of ${wanted.budget:.2f}, so nothing was created: give "
            f"--budget {dollars * 1.01:.2f}, or fewer --memory, --starts, --shapes or --architectures"
        )


def _check_machine(options: Namespace, wanted: Wanted, account: accounts.Account) -> None:
    """Look for what a deployment needs, as `make deploy` does: of the measured stack, and not of the user's own."""
    ours = [f"build_dir={options.build.absolute()}", f"stack_name={stack.new_name()}"]
    command = [sys.executable, "-m", "infra.ready", "--deploying", *(f"-c{pair}" for pair in (*ours, *wanted.context))]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environ = {**account.environ(os.environ), "PYTHONPATH": path}
    with tempfile.TemporaryDirectory() as folder:
        stack.configure(Path(folder))
        status = subprocess.run(command, cwd=folder, env=environ, check=False).returncode
    if status:
        raise MeasureError("the machine or the account is not ready, see above; nothing was created")


def _dollars(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < 10_000:
        raise ArgumentTypeError(f"{text!r} is no amount: give dollars above 0, as 2.5")
    return found


def _names(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """Return what reads names with commas between them, each one of `known`."""

    def read(text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
        if not found or set(found) - set(known):
            raise ArgumentTypeError(f"{text!r}: give {' or '.join(known)}, or both as {','.join(known)}")
        return found

    return read


if __name__ == "__main__":
    sys.exit(main())
