"""Runs as executions of the deployment's state machine: start, find, count and resume them."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from openclip_lambda.batch.aws import asking, code_of
from openclip_lambda.errors import ClientError

RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # as the planner has it
RESERVED = ("arrivals",)
STAMP = re.compile(r"(?P<run>.+)\.[0-9]{14,15}")  # of executions that were started here; earlier ones had seconds alone
FAILURES = 3  # failed shards whose reason is shown
LOOKED_AT = 500  # executions, the newest first
REDRIVE = "REDRIVABLE"  # also REDRIVABLE_BY_MAP_RUN: Express children alone, which these are not
UNCOUNTED = ("AccessDeniedException", "UnknownOperationException", "InvalidAction", "501", "NotImplemented")
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


class Execution(NamedTuple):
    """One execution of a run. Times are in seconds since 1970; `ended` is None while it runs."""

    arn: str
    run: str
    status: str
    started: float
    ended: float | None
    asked: dict[str, Any]
    error: str = ""
    cause: str = ""
    redrive: str = ""

    @property
    def over(self) -> bool:
        """Tell whether it has ended."""
        return self.status in ENDED


def checked_run(name: str) -> str:
    """Return a run's name. Raises ClientError for one that the planner would refuse."""
    if not RUN.fullmatch(name) or name in RESERVED:
        raise ClientError(
            f"--run {name!r}: use letters, digits, dots, dashes and underscores, at most 64; not arrivals"
        )
    return name


class Machine:
    """The state machine. `client` is boto3's. Methods raise ClientError where Step Functions refuses."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client, self.arn = client, arn

    def newest(self, run: str | None = None) -> Execution | None:
        """Return the latest execution, of one run or of any."""
        with asking(self.arn):
            for item in self._executions():
                stamped = STAMP.fullmatch(item["name"])
                if run and stamped and stamped["run"] != run:
                    continue
                found = self._described(item["executionArn"])
                if run in (None, found.run):
                    return found
        return None

    def again(self, execution: Execution) -> Execution:
        """Look at an execution again."""
        with asking(self.arn):
            return self._described(execution.arn)

    def start(self, run: str, asked: dict[str, Any]) -> Execution:
        """Start a run with the input that the planner takes. Raises ClientError where it is running already."""
        latest = self.newest(run)
        if latest and not latest.over:
            since = datetime.fromtimestamp(latest.started, UTC).strftime("%Y-%m-%d %H:%M UTC")
            raise ClientError(f"run {run} is on its way since {since}: `batch status --run {run}` shows it")
        body = json.dumps({"run": run, **asked})
        with asking(self.arn):
            arn = self._client.start_execution(stateMachineArn=self.arn, name=_new_name(run), input=body)[
                "executionArn"
            ]
            return self._described(arn)

    def resume(self, latest: Execution) -> tuple[str, Execution]:
        """Resume a run that ended: `redriven` if Step Functions can do that, else `started again` under its name."""
        with asking(self.arn):
            if latest.redrive == REDRIVE and not self._redeployed(latest):
                try:
                    self._client.redrive_execution(executionArn=latest.arn)
                    return "redriven", self._described(latest.arn)
                except self._client.exceptions.ExecutionNotRedrivable:
                    pass  # it became so since it was described
        return "started again", self.start(latest.run, {k: v for k, v in latest.asked.items() if k != "run"})

    def counts(self, execution: Execution) -> dict[str, int] | None:
        """Return the shards of the execution's map run, counted by state; None if there is no map run."""
        with self._optional():
            if arn := self._map_run(execution):
                found = self._client.describe_map_run(mapRunArn=arn)
                counts = {name: int(value) for name, value in found.get("itemCounts", {}).items()}
                return counts if counts.get("total") else None
        return None

    def failures(self, execution: Execution) -> list[str]:
        """Return the reasons why the first FAILURES shards failed, if Step Functions has them."""
        told: list[str] = []
        with self._optional():
            if arn := self._map_run(execution):
                asked = {"mapRunArn": arn, "statusFilter": "FAILED", "maxResults": FAILURES}
                for child in self._client.list_executions(**asked)["executions"]:
                    told.append(_reason(self._client.describe_execution(executionArn=child["executionArn"])))
        return told

    def _redeployed(self, execution: Execution) -> bool:
        """Tell whether the machine was changed since: a redrive keeps its definition, which names the bundle."""
        with self._optional():
            now = self._client.describe_state_machine(stateMachineArn=self.arn)
            then = self._client.describe_state_machine_for_execution(executionArn=execution.arn)
            return bool(now["definition"] != then["definition"])
        return False

    def _map_run(self, execution: Execution) -> str | None:
        listed = self._client.list_map_runs(executionArn=execution.arn).get("mapRuns")
        return str(listed[0]["mapRunArn"]) if listed else None

    @contextmanager
    def _optional(self) -> Iterator[None]:
        """Ignore errors of a request whose result is not essential."""
        with asking(self.arn):
            try:
                yield
            except self._client.exceptions.ClientError as error:
                if code_of(error) not in UNCOUNTED:
                    raise

    def _executions(self) -> Iterator[dict[str, Any]]:
        options = {"MaxItems": LOOKED_AT, "PageSize": 100}
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=self.arn, PaginationConfig=options
        )
        for page in pages:
            yield from sorted(page["executions"], key=lambda item: item["startDate"], reverse=True)

    def _described(self, arn: str) -> Execution:
        found = self._client.describe_execution(executionArn=arn)
        try:
            asked = json.loads(found.get("input") or "{}")
            run = str(asked["run"])
        except (ValueError, KeyError, TypeError):
            asked, run = {}, ""
        ended = found.get("stopDate")
        return Execution(
            arn,
            run,
            found["status"],
            found["startDate"].timestamp(),
            ended.timestamp() if ended else None,
            asked,
            found.get("error") or "",
            found.get("cause") or "",
            found.get("redriveStatus") or "",
        )


def _reason(child: dict[str, Any]) -> str:
    """Return the message of a failed child; a function's is in JSON."""
    error, cause = child.get("error") or "", child.get("cause") or ""
    with suppress(ValueError, KeyError, TypeError):
        cause = str(json.loads(cause)["errorMessage"])
    return ": ".join(filter(None, (error, cause)))


def _new_name(run: str) -> str:
    """Name an execution: Step Functions takes a name once in 90 days, and 80 characters."""
    now = datetime.now(UTC)
    return f"{run}.{now:%y%m%d%H%M%S}{now.microsecond // 1000:03}"
