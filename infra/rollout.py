"""The gate of a deployment: `live` moves to a new version only when that version has answered as what was deployed."""

from aws_cdk import CustomResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.function import HELPERS_PYTHON, log_only_role, source
from infra.nag import acknowledge, versions_of
from infra.package import Package
from infra.settings import StackSettings

ALIAS = "live"
LIMIT = Duration.minutes(15)  # a snapshot, an init on demand and hashing the bundle; Lambda's own limit


class Rollout(Construct):
    """A custom resource that asks the version's deep health check, and the alias that waits for it.

    Where the check fails CloudFormation rolls back, and the alias has never moved.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.Function,
        package: Package,
        settings: StackSettings,
        log_group: logs.ILogGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        version = function.current_version
        checker = _checker(self, function, log_group)
        gate = CustomResource(
            self,
            "Gate",
            service_token=checker.function_arn,
            resource_type="Custom::HealthGate",
            service_timeout=LIMIT,
            properties={"FunctionVersion": version.function_arn, "ManifestSha256": package.manifest_sha256},
        )
        gate.node.add_dependency(checker)
        self.alias = lambda_.Alias(
            self,
            "Alias",
            alias_name=ALIAS,
            version=version,
            provisioned_concurrent_executions=settings.provisioned_concurrency,
        )
        self.alias.node.add_dependency(gate)


def _checker(scope: Construct, function: lambda_.Function, log_group: logs.ILogGroup) -> lambda_.Function:
    role = log_only_role(scope, "Role", log_group)
    invoke = iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[f"{function.function_arn}:*"])
    role.add_to_policy(invoke)
    ask = iam.PolicyStatement(actions=["cloudformation:DescribeStacks"], resources=[Stack.of(scope).stack_id])
    role.add_to_policy(ask)  # whether it is rolled back
    checker = lambda_.Function(
        scope,
        "Checker",
        **source("rollout"),
        description="Asks a new version's deep health check before it goes live",
        memory_size=256,
        timeout=LIMIT,
        role=role,
        log_group=log_group,
    )
    acknowledge(
        role, versions_of(function), "any version of this one function: a new one has no number before it is made"
    )
    acknowledge(checker, "L1", HELPERS_PYTHON)
    return checker
