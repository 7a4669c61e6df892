"""Acknowledge rules of cdk-nag's AwsSolutions pack: with the reason, and only on the construct that breaks the rule."""

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct

PACK = "AwsSolutions::AwsSolutions-"


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Acknowledge a rule, as "IAM5", on a construct and what is in it."""
    Validations.of(construct).acknowledge(Acknowledgment(id=PACK + rule, reason=reason))


def versions_of(function: IConstruct) -> str:
    """The rule's name for a policy on all versions and aliases of one function."""
    return f"IAM5[Resource::<{Stack.of(function).get_logical_id(function.node.default_child)}.Arn>:*]"


def objects_of(bucket: str, prefix: str = "") -> str:
    """The rule's name for a policy on the objects of one bucket, all of them or those that begin with `prefix`."""
    return f"IAM5[Resource::arn:<AWS::Partition>:s3:::{bucket}/{prefix}*]"


def objects_of_ours(bucket: IConstruct, prefix: str) -> str:
    """The rule's name for a policy on objects of a bucket that the stack makes, by its ARN."""
    return f"IAM5[Resource::<{Stack.of(bucket).get_logical_id(bucket.node.default_child)}.Arn>/{prefix}*]"
