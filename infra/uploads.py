"""What CDK uploads: code, images and each stack's own template, in the buckets that `cdk bootstrap` made."""

from aws_cdk import DefaultStackSynthesizer
from constructs import Construct

QUALIFIER = "@aws-cdk/core:bootstrapQualifier"  # in the context: of the buckets' and the repository's names


def synthesizer(prefix: str | None) -> DefaultStackSynthesizer | None:
    """Name uploads after the stack where that is wanted; CDK's own way names them by their content alone."""
    if prefix is None:
        return None
    return DefaultStackSynthesizer(bucket_prefix=f"{prefix}/", docker_tag_prefix=f"{prefix}-")


def described(scope: Construct, text: str, prefix: str | None) -> str:
    """Return the description of a function of which versions are published.

    Where the names of uploads change alone, CDK asks for a new version. Lambda compares the image's digest and the
    settings, has none to give, and the deployment fails: "A version for this Lambda function exists".
    """
    names = [name for name in (prefix, scope.node.try_get_context(QUALIFIER)) if name is not None]
    return f"{text}, uploads {' '.join(names)}" if names else text
