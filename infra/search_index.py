"""The place of the search's index, and the permissions that a role needs for it."""

from typing import Protocol

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from infra.nag import acknowledge, objects_of, objects_of_ours
from infra.settings import StackSettings

FOLDER = "index"  # of the output bucket
VECTORS = (  # what handler/search/s3vectors.py calls
    *("s3vectors:GetIndex", "s3vectors:GetVectors", "s3vectors:ListVectors"),
    *("s3vectors:QueryVectors", "s3vectors:PutVectors", "s3vectors:DeleteVectors"),
)


class Place(Protocol):
    """`name` is what OPENCLIP_INDEX is set to."""

    name: str

    def allow(self, role: iam.Role) -> None:
        """Let a role read and write the index."""


class LanceFolder:
    """LanceDB's files in the output bucket."""

    def __init__(self, output: s3.IBucket, settings: StackSettings) -> None:
        self._output = output
        self._theirs = settings.batch_output
        self.name = f"s3://{output.bucket_name}/{FOLDER}"

    def allow(self, role: iam.Role) -> None:
        """Let a role read, write and list: LanceDB writes new files, switches to them and deletes the old ones."""
        objects = self._output.arn_for_objects(f"{FOLDER}/*")
        actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=[objects]))
        # Without it S3 answers "forbidden" where an object is missing, which is how LanceDB looks for one.
        role.add_to_policy(iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self._output.bucket_arn]))
        prefix = f"{FOLDER}/"
        rule = objects_of(self._theirs, prefix) if self._theirs else objects_of_ours(self._output, prefix)
        acknowledge(role, rule, "the index's files have names that are made at run time")


class VectorIndex:
    """An index of S3 Vectors, which the stack beside this one makes under these names."""

    def __init__(self, bucket: str, index: str) -> None:
        self._indexes = f"bucket/{bucket}/index/*"
        self.name = f"s3vectors:{bucket}/{index}"

    def allow(self, role: iam.Role) -> None:
        """Let a role read and write the vectors of each index in the bucket: of this bundle, and of the one before.

        A role has no versions. While a new one has its health check, the one that serves reads the index of before.
        """
        arn = f"arn:{Aws.PARTITION}:s3vectors:{Aws.REGION}:{Aws.ACCOUNT_ID}:{self._indexes}"
        role.add_to_policy(iam.PolicyStatement(actions=list(VECTORS), resources=[arn]))
        rule = f"IAM5[Resource::arn:<AWS::Partition>:s3vectors:<AWS::Region>:<AWS::AccountId>:{self._indexes}]"
        acknowledge(role, rule, "the bucket is the stack's own, and has no other indexes")
