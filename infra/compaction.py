"""The schedule that compacts the small files of arrivals, by a function that is the worker's code with other rights."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.batch_build import Build, explain
from infra.function import log_only_role

EVERY = Duration.hours(1)
PREFIXES = ("vectors/model=*/run=arrivals/", "deletions/model=*/run=arrivals/", "compactions/")  # alone are changed


class Compaction(Construct):
    """The function and its schedule.

    The worker decodes what strangers put into a bucket, so it may remove no vectors. This one may, and sees no image.
    """

    def __init__(self, scope: Construct, construct_id: str, *, build: Build) -> None:
        super().__init__(scope, construct_id)
        role = log_only_role(self, "Role", build.log_group)
        objects = [build.output.arn_for_objects(f"{prefix}*") for prefix in PREFIXES]
        actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=objects))
        role.add_to_policy(iam.PolicyStatement(actions=["s3:ListBucket"], resources=[build.output.bucket_arn]))
        for prefix in PREFIXES:
            explain(role, build.output, build.settings, prefix)
        self.function = build.function(self, "Function", "compaction", role, {})
        rule = events.Rule(self, "Schedule", description="Compacts arrivals", schedule=events.Schedule.rate(EVERY))
        event = events.RuleTargetInput.from_object({"compact": {}})
        rule.add_target(targets.LambdaFunction(self.function, event=event))
