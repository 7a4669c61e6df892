"""Make the functions of a batch: from the API's own package, with another entry point."""

from collections.abc import Mapping
from typing import NamedTuple

from aws_cdk import Duration, Size
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.environment import environment
from infra.function import ARCHITECTURES, code_of
from infra.nag import acknowledge, objects_of, objects_of_ours
from infra.package import Package
from infra.settings import StackSettings

HANDLER = "handler.batch.app.lambda_handler"
LIMIT = Duration.minutes(15)  # of a shard, of one part of the listing, and of a compaction: Lambda's own


class Build(NamedTuple):
    """The package, its layers, where its functions log, and the bucket that they write to."""

    package: Package
    layers: list[lambda_.LayerVersion]
    settings: StackSettings
    log_group: logs.ILogGroup
    output: s3.IBucket

    def function(
        self, scope: Construct, construct_id: str, what: str, role: iam.Role, variables: Mapping[str, str]
    ) -> lambda_.Function:
        """Make a function; `variables` come on top of the handler's settings and of the output bucket's name."""
        settings = self.settings
        memory = settings.batch_memory or settings.memory
        function = lambda_.Function(
            scope,
            construct_id,
            **code_of(self.package, self.layers, HANDLER),
            description=f"OpenCLIP batch {what}, bundle {self.package.manifest_sha256[:12]}",
            architecture=ARCHITECTURES[self.package.architecture],
            memory_size=memory,
            timeout=LIMIT,
            ephemeral_storage_size=Size.mebibytes(settings.ephemeral_storage),
            environment=environment(settings, {"OPENCLIP_BATCH_OUTPUT": self.output.bucket_name, **variables}, memory),
            role=role,
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
        )
        acknowledge(function, "L1", "the bundle's wheels are built for the Python that its manifest names")
        return function


def explain(role: iam.Role, output: s3.IBucket, settings: StackSettings, prefix: str = "") -> None:
    """Acknowledge, to cdk-nag, a policy on the output's objects that begin with a prefix."""
    theirs = settings.batch_output
    rule = objects_of(theirs, prefix) if theirs else objects_of_ours(output, prefix)
    acknowledge(role, rule, "plans and results have names that are made at run time")
