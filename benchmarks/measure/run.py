"""One run: estimate, then for each package deploy, measure, report; and destroy, whatever happened."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from benchmarks.measure import estimate, report, results, stack
from benchmarks.measure.account import AWS, Account
from benchmarks.measure.builds import Package, prepare
from benchmarks.measure.destroy import destroy
from benchmarks.measure.errors import BudgetError, MeasureError
from benchmarks.measure.estimate import Spent
from benchmarks.measure.leftovers import Record, Records
from benchmarks.measure.phases import Measuring
from benchmarks.measure.plan import Plan, Target
from benchmarks.measure.stopping import Stopping

CLEAN = 'run `make measure ARGS="--clean"`'


class Wanted(NamedTuple):
    """What the command line asks for; `given` is the package that is there, `spec` the models.toml of others."""

    plan: Plan
    targets: list[Target]
    given: Package
    spec: Path
    output: Path
    budget: float
    context: Sequence[str]
    cdk: Path


class Run:
    """A run on one account, with signals handled by `stopping`."""

    def __init__(self, account: Account, wanted: Wanted, stopping: Stopping) -> None:
        self._account, self._wanted, self._stopping = account, wanted, stopping
        self._spent, self._records = Spent(wanted.budget), Records(wanted.output)
        self._date = datetime.now(UTC).isoformat(timespec="seconds")
        self._targets: list[dict[str, Any]] = []
        self._name: str | None = None

    def all(self) -> None:
        """Measure all of it. Raises MeasureError, botocore's errors, KeyboardInterrupt; and leaves nothing behind."""
        packages = [prepare(target, self._wanted.given, self._wanted.spec) for target in self._wanted.targets]
        with self._records.locked(self._stopping) as lock:
            clean(self._records, self._account, self._stopping)
            cdk = stack.Cdk(self._wanted.cdk, self._account, lock, self._stopping)
            for package in packages:
                self._measure(package, cdk)

    def _measure(self, package: Package, cdk: stack.Cdk) -> None:
        name, plan = stack.new_name(), self._wanted.plan
        self._say(f"[deploy] {name}: {package.target}, with the CDK CLI (some minutes)")
        with self._records.scratch(name) as folder:
            record = stack.synthesize(cdk, folder, name, package.folder, plan.deployed_memory, self._wanted.context)
            try:
                try:
                    self._records.write(record)
                    self._spent.add(estimate.stack_hour() + estimate.snapshot(plan.deployed_memory / 1024))
                    function = stack.deploy(cdk, folder, name)
                    measuring = Measuring(self._account, function, package.target, plan, self._spent, self._stopping)
                    try:
                        measuring.all()
                    except BudgetError:
                        self._report(package, measuring, complete=False)  # it is paid for
                        raise
                    self._report(package, measuring, complete=True)
                finally:
                    self._stopping.hold()
            finally:
                remove(record, self._records, self._account, self._stopping)
        self._stopping.release()

    def _report(self, package: Package, measuring: Measuring, complete: bool) -> None:
        on_aws = self._account.platform == AWS
        self._targets.append(results.target(package, self._wanted.plan, measuring.found, on_aws))
        complete = complete and len(self._targets) == len(self._wanted.targets)
        content = results.document(self._date, self._account, self._wanted.plan, self._spent, complete)
        content["targets"] = self._targets
        self._name = self._name or results.unused(self._wanted.output, self._date[:10])
        self._say(f"[report] {self._wanted.output / self._name}.json, .md and .png")
        with self._stopping.deferred():  # a signal in the middle of an import would look as if a library were damaged
            report.write(content, self._wanted.output, self._name)

    def _say(self, message: str) -> None:
        self._stopping.say(message)


def remove(record: Record, records: Records, account: Account, stopping: Stopping) -> None:
    """Destroy a stack, then forget it. Raises MeasureError that says how to try again."""
    stopping.say(f"[destroy] {record.stack}")
    try:
        destroy(record, account)
    except (MeasureError, BotoCoreError, ClientError) as error:
        raise MeasureError(
            f"{record.stack} is not wholly destroyed: {error}\n{CLEAN}, which goes on with it"
        ) from error
    records.remove(record)
    stopping.say(f"{record.stack} is gone")


def clean(records: Records, account: Account, stopping: Stopping) -> None:
    """Destroy what earlier runs left behind in this account; other accounts' are told."""
    records.sweep()
    for record in records.all():
        if record.account != account.number:
            stopping.say(f"{record.stack} may be left in account {record.account}: {CLEAN} with its credentials")
            continue
        stopping.say(f"an earlier run left {record.stack} in {record.region}")
        remove(record, records, account._replace(region=record.region), stopping)
