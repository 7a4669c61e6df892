"""Search over a batch's vectors: a function of its own behind the same API, and what keeps its index current."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Size
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.environment import environment
from infra.errors import PackageError
from infra.function import (
    ARCHITECTURES,
    PLATFORMS,
    explain_to_nag,
    leave_untraced,
    log_only_role,
    may_read_buckets,
)
from infra.index_updates import IndexUpdates
from infra.logging import LogGroups
from infra.nag import acknowledge, objects_of, objects_of_ours
from infra.package import Package
from infra.rollout import Rollout
from infra.search_index import Place
from infra.settings import LANCE_MB, StackSettings
from infra.uploads import described

ROLE = "search"  # of the package's artifacts
REBUILD = "handler.search.rebuild_app.lambda_handler"
UPDATES = "handler.search.updates_app.lambda_handler"
REBUILD_LIMIT = Duration.minutes(15)  # Lambda's own
UPDATE_LIMIT = Duration.minutes(5)  # every now and then one puts up to a million rows together
WORK_MB = 10_240  # of /tmp, where LanceDB sorts rows into an index's parts; paid for by the second that it runs
KINDS = ("vectors", "deletions")  # of a batch's results: what an index is made of


class Search(Construct):
    """The search function and its alias, the function that rebuilds the index, and the one that updates it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        package: Package,
        settings: StackSettings,
        place: Place,
        output: s3.IBucket,
        groups: LogGroups,
        helpers_log: logs.ILogGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        check(package)
        self._package, self._settings, self._place, self._output = package, settings, place, output
        log_group = groups.group("Search")
        self.rebuild = self._worker("Rebuild", REBUILD, REBUILD_LIMIT, log_group)
        self.function = self._search(log_group)
        # Provisioned concurrency is the API's: it is paid for by the hour.
        plain = settings.model_copy(update={"provisioned_concurrency": None})
        self.alias = Rollout(
            self, "Rollout", function=self.function, package=package, settings=plain, log_group=helpers_log
        ).alias
        updater = self._worker("Updates", UPDATES, UPDATE_LIMIT, log_group)
        self.updates = IndexUpdates(
            self,
            "Arrivals",
            key=groups.key,
            function=updater,
            timeout=UPDATE_LIMIT,
            bucket=output,
            ours=settings.batch_output is None,
            vectors_id=package.vectors_id,
        )
        self._tell(scope)

    def change_after(self, *live: lambda_.IAlias) -> None:
        """Change what writes the index only when the new versions have passed their health checks: see `Batch`."""
        for one in (self.rebuild, self.updates, self.updates.function):
            one.node.add_dependency(*live)

    def _tell(self, scope: Construct) -> None:
        outputs = {
            "SearchFunction": self.function.function_name,
            "SearchRebuild": self.rebuild.function_name,
            "SearchQueue": self.updates.queue.queue_url,
            "SearchPoison": self.updates.poison.queue_url,
        }
        for name, value in outputs.items():
            CfnOutput(scope, name, value=value)

    def _search(self, log_group: logs.ILogGroup) -> lambda_.Function:
        settings = self._settings
        role = log_only_role(self, "FunctionRole", log_group)
        self._place.allow(role)
        may_read_buckets(role, settings.allowed_buckets)
        # A presigned URL allows what the role that signed it is allowed.
        may_read_buckets(role, settings.search_url_buckets, ("s3:GetObject",))
        function = lambda_.Function(
            self,
            "Function",
            **self._code(),
            **self._usual(role, log_group),
            description=described(
                self, f"OpenCLIP search, bundle {self._package.manifest_sha256[:12]}", settings.asset_prefix
            ),
            timeout=Duration.seconds(settings.function_timeout),
            ephemeral_storage_size=Size.mebibytes(settings.ephemeral_storage),
            environment=self._environment(self._own_variables()),
            application_log_level_v2=lambda_.ApplicationLogLevel[settings.log_level],
            tracing=lambda_.Tracing.ACTIVE if settings.tracing else None,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if settings.snap_start else None,
            current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.DESTROY),
        )
        leave_untraced(function, settings)
        explain_to_nag(function, role, (*settings.allowed_buckets, *settings.search_url_buckets))
        return function

    def _worker(self, name: str, handler: str, timeout: Duration, log_group: logs.ILogGroup) -> lambda_.Function:
        """Make a function that reads a batch's results and writes the index."""
        role = log_only_role(self, f"{name}Role", log_group)
        self._place.allow(role)
        results = [self._output.arn_for_objects(f"{kind}/*") for kind in KINDS]
        role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=results))
        role.add_to_policy(iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self._output.bucket_arn]))
        theirs = self._settings.batch_output
        for kind in KINDS:
            rule = objects_of(theirs, f"{kind}/") if theirs else objects_of_ours(self._output, f"{kind}/")
            acknowledge(role, rule, "a batch's results have names that are made at run time")
        return lambda_.Function(
            self,
            name,
            **self._code(handler),
            **self._usual(role, log_group),
            description=f"OpenCLIP index {name.lower()}, bundle {self._package.manifest_sha256[:12]}",
            timeout=timeout,
            ephemeral_storage_size=Size.mebibytes(WORK_MB),
            environment=self._environment({"OPENCLIP_BATCH_OUTPUT": self._output.bucket_name}),
            retry_attempts=0,  # of asynchronous invokes: what failed once fails again, and is paid for three times
        )

    def _code(self, handler: str | None = None) -> dict[str, Any]:
        code = lambda_.Code.from_asset_image(
            str(self._package.artifacts[ROLE]),
            platform=PLATFORMS[self._package.architecture],
            cmd=[handler] if handler else None,
        )
        return {"code": code, "handler": lambda_.Handler.FROM_IMAGE, "runtime": lambda_.Runtime.FROM_IMAGE}

    def _usual(self, role: iam.Role, log_group: logs.ILogGroup) -> dict[str, Any]:
        return {
            "architecture": ARCHITECTURES[self._package.architecture],
            "memory_size": self._memory,
            "role": role,
            "log_group": log_group,
            "logging_format": lambda_.LoggingFormat.JSON,
        }

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return environment(self._settings, {"OPENCLIP_INDEX": self._place.name, **more}, self._memory)

    @property
    def _memory(self) -> int:
        settings = self._settings
        return settings.search_memory or max(settings.memory, LANCE_MB if settings.search == "lance" else 0)

    def _own_variables(self) -> dict[str, str]:
        buckets, seconds = self._settings.search_url_buckets, self._settings.search_url_seconds
        return {
            "OPENCLIP_SEARCH_REBUILD": f"openclip-lambda batch index --stack {self._settings.stack_name}",
            **({"OPENCLIP_SEARCH_URL_BUCKETS": ",".join(buckets)} if buckets else {}),
            **({"OPENCLIP_SEARCH_URL_SECONDS": str(seconds)} if seconds else {}),
        }


def check(package: Package) -> None:
    """Raise PackageError where the package has no image of the search function."""
    if ROLE not in package.artifacts:
        raise PackageError(
            "search is set, but the package lacks the search function's image: run "
            "`python -m layer package --with batch --with search`"
        )
