"""Log groups: encrypted with one key of the stack's own, kept for the days that the settings say."""

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.partition import regional


class LogGroups(Construct):
    """Makes the stack's log groups. Each goes with the stack: a destroyed stack leaves nothing behind."""

    def __init__(self, scope: Construct, construct_id: str, *, retention_days: int) -> None:
        super().__init__(scope, construct_id)
        self._retention = retention_days
        stack = Stack.of(self)
        self.key = kms.Key(
            self,
            "Key",
            description=f"{stack.stack_name}: logs and the API key",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,
            pending_window=Duration.days(7),
        )
        # Only for log groups of this stack's account and region, as CloudWatch's guide has it.
        any_group = stack.format_arn(
            service="logs", resource="log-group", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(regional(self, "logs"))],
                actions=["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": any_group}},
            )
        )

    def group(self, construct_id: str) -> logs.LogGroup:
        """Make one log group, named by CloudFormation."""
        group = logs.LogGroup(self, construct_id, encryption_key=self.key, removal_policy=RemovalPolicy.DESTROY)
        group.node.default_child.retention_in_days = self._retention  # CDK's own property takes names in words
        return group
