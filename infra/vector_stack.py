"""A stack of its own for S3 Vectors: its bucket and one index for the bundle that is deployed."""

import hashlib

from aws_cdk import Stack
from aws_cdk import aws_s3vectors as s3vectors
from constructs import Construct

from infra import stack_names
from infra.package import Package
from infra.search_index import VectorIndex
from infra.settings import StackSettings
from infra.uploads import synthesizer

# Metadata that no query filters by: it does not count among the 2 KB that queries may filter by.
UNFILTERED = ("key", "etag", "about")
LONGEST = 55  # of the stack's name in the bucket's, which takes 63
DIGITS = 8  # of the digest of a stack's name that cannot stand in the bucket's as it is


class VectorStack(Stack):
    """The vector bucket and the index. Both have names that are known: nothing is exported, so both can be replaced."""

    def __init__(self, scope: Construct, *, package: Package, settings: StackSettings) -> None:
        uploads, told = synthesizer(settings.asset_prefix), stack_names.VECTORS
        name = stack_names.of_vectors(settings.stack_name)
        super().__init__(scope, name, description=told, synthesizer=uploads)
        self.place = vector_index(package, settings)
        bucket = s3vectors.CfnVectorBucket(
            self,
            "Bucket",
            vector_bucket_name=bucket_name(settings),
            encryption_configuration=s3vectors.CfnVectorBucket.EncryptionConfigurationProperty(sse_type="AES256"),
        )
        index = s3vectors.CfnIndex(
            self,
            "Index",
            vector_bucket_name=bucket_name(settings),
            index_name=index_name(package, settings),
            data_type="float32",
            dimension=package.dimensions,
            distance_metric="cosine",
            metadata_configuration=s3vectors.CfnIndex.MetadataConfigurationProperty(
                non_filterable_metadata_keys=list(UNFILTERED)
            ),
        )
        index.add_resource_dependency(bucket)


def vector_index(package: Package, settings: StackSettings) -> VectorIndex:
    """Return the index of a package's bundle: another bundle, or another `exif_orientation`, has another one."""
    return VectorIndex(bucket_name(settings), index_name(package, settings))


def bucket_name(settings: StackSettings) -> str:
    """Name the vector bucket. Names of vector buckets are an account's and a region's own, in lower case.

    A stack's name that is cut or lowered has a digest of the whole name, or two stacks would have one bucket.
    """
    stack = settings.stack_name
    if stack != stack.lower() or len(stack) > LONGEST:
        digest = hashlib.sha256(stack.encode()).hexdigest()[:DIGITS]
        stack = f"{stack.lower()[: LONGEST - DIGITS - 1]}-{digest}"
    return f"{stack}-vectors"


def index_name(package: Package, settings: StackSettings) -> str:
    """Name the index after what makes its vectors: it cannot be made aside for others and switched to."""
    return f"openclip-{package.vectors_id}{'-upright' if settings.exif_orientation else ''}"
