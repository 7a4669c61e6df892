"""The schedule that compacts the small files of arrivals, by a function that is the worker's code with other rights."""

from aws_cdk import Aws, Duration, Size
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.environment import environment
from infra.function import ARCHITECTURES, code_of, log_only_role
from infra.nag import acknowledge, objects_of, objects_of_ours
from infra.package import Package
from infra.settings import StackSettings

EVERY = Duration.hours(1)
PREFIXES = ("vectors/model=*/run=arrivals/", "deletions/model=*/run=arrivals/", "compactions/")  # alone are changed


class Compaction(Construct):
    """The function and its schedule.

    The worker decodes what strangers put into a bucket, so it may remove no vectors. This one may, and sees no image.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        package: Package,
        layers: list[lambda_.LayerVersion],
        handler: str,
        output: s3.IBucket,
        settings: StackSettings,
        log_group: logs.ILogGroup,
        timeout: Duration,
    ) -> None:
        super().__init__(scope, construct_id)
        role = _role(self, output, settings, log_group)
        self.function = lambda_.Function(
            self,
            "Function",
            **code_of(package, layers, handler),
            description=f"OpenCLIP batch compaction, bundle {package.manifest_sha256[:12]}",
            architecture=ARCHITECTURES[package.architecture],
            memory_size=settings.batch_memory or settings.memory,
            timeout=timeout,
            ephemeral_storage_size=Size.mebibytes(settings.ephemeral_storage),
            environment={**environment(settings), "OPENCLIP_BATCH_OUTPUT": output.bucket_name},
            role=role,
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
        )
        acknowledge(self.function, "L1", "the bundle's wheels are built for the Python that its manifest names")
        rule = events.Rule(self, "Schedule", description="Compacts arrivals", schedule=events.Schedule.rate(EVERY))
        rule.add_target(
            targets.LambdaFunction(self.function, event=events.RuleTargetInput.from_object({"compact": {}}))
        )


def _role(scope: Construct, output: s3.IBucket, settings: StackSettings, log_group: logs.ILogGroup) -> iam.Role:
    role = log_only_role(scope, "Role", log_group)
    objects = [output.arn_for_objects(f"{prefix}*") for prefix in PREFIXES]
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    role.add_to_policy(iam.PolicyStatement(actions=actions, resources=objects))
    bucket = f"arn:{Aws.PARTITION}:s3:::{settings.batch_output}" if settings.batch_output else output.bucket_arn
    role.add_to_policy(iam.PolicyStatement(actions=["s3:ListBucket"], resources=[bucket]))
    for prefix in PREFIXES:
        theirs = settings.batch_output
        rule = objects_of(theirs, prefix) if theirs else objects_of_ours(output, prefix)
        acknowledge(role, rule, "small files come and go, with names that are made at run time")
    return role
