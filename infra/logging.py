"""Log groups: encrypted with one key of the stack's own, kept for the days that the settings say."""

from aws_cdk import ArnFormat, Aws, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.partition import regional

DELIVERED = "/aws/vendedlogs/"  # Amazon CloudWatch Logs, "Enable logging from AWS services"


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

    def delivered(self, construct_id: str) -> logs.LogGroup:
        """Make one that API Gateway or Step Functions writes to, named as CloudWatch Logs recommends for them.

        Under another name each would be written into one policy of the account, which takes 5,120 characters: beside
        many APIs and state machines a deployment fails. The stack's id tells its group from a former stack's.
        """
        group = self.group(construct_id)
        own = Fn.select(2, Fn.split("/", Aws.STACK_ID))
        group.node.default_child.log_group_name = f"{DELIVERED}{Stack.of(self).stack_name}/{construct_id}-{own}"
        return group
