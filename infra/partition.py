"""Names of AWS services whose endings differ between partitions: `.amazonaws.com.cn` in China."""

from aws_cdk import Stack
from constructs import IConstruct


def regional(scope: IConstruct, service: str) -> str:
    """Name a service of the stack's region, as policies know CloudWatch Logs and those that call KMS for a role.

    A principal without a region, such as lambda.amazonaws.com, has one name everywhere.
    """
    stack = Stack.of(scope)
    return f"{service}.{stack.region}.{stack.url_suffix}"
