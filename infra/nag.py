"""Why a rule of cdk-nag's AwsSolutions pack is not followed: said where it is not, and nowhere more widely."""

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct

PACK = "AwsSolutions::AwsSolutions-"


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Acknowledge a rule, as "IAM5", on a construct and what is in it."""
    Validations.of(construct).acknowledge(Acknowledgment(id=PACK + rule, reason=reason))


def versions_of(function: IConstruct) -> str:
    """The rule's name for a policy on all versions and aliases of one function."""
    return f"IAM5[Resource::<{Stack.of(function).get_logical_id(function.node.default_child)}.Arn>:*]"


def objects_of(bucket: str) -> str:
    """The rule's name for a policy on all objects of one bucket."""
    return f"IAM5[Resource::arn:<AWS::Partition>:s3:::{bucket}/*]"
