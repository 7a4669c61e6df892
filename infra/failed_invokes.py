"""Asynchronous invokes: none is tried again, and what failed lies in a queue."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.nag import acknowledge

RETENTION = Duration.days(4)  # of a failed invoke, its request included: encrypted with the stack's own key
MAX_AGE = Duration.hours(1)  # of an invoke that waits, since every place is busy


class FailedInvokes(Construct):
    """The queue, and what Lambda does with asynchronous invokes of the alias and of the function itself.

    A request that ends the process once would end it again: Lambda's own two retries would pay for it three times.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: lambda_.Function,
        alias: lambda_.Alias,
        role: iam.Role,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=RETENTION,
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(self.queue, "SQS3", "this queue is where failures go: nothing reads it and could fail again")
        # Lambda sends as the function. Each action by its name: CDK's own grant has wildcards.
        may_send = iam.Policy(self, "MaySend", roles=[role])
        may_send.add_statements(
            iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[self.queue.queue_arn]),
            iam.PolicyStatement(actions=["kms:GenerateDataKey", "kms:Decrypt"], resources=[key.key_arn]),
        )
        for name, qualifier in (("Live", alias.alias_name), ("Unqualified", "$LATEST")):
            config = lambda_.CfnEventInvokeConfig(
                self,
                name,
                function_name=function.function_name,
                qualifier=qualifier,
                maximum_retry_attempts=0,
                maximum_event_age_in_seconds=MAX_AGE.to_seconds(),
                destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                    on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=self.queue.queue_arn)
                ),
            )
            config.node.add_dependency(may_send, alias)  # Lambda refuses a destination that it may not send to
