"""What CDK uploads: code, images and each stack's own template, in the buckets that `cdk bootstrap` made."""

from aws_cdk import DefaultStackSynthesizer


def synthesizer(prefix: str | None) -> DefaultStackSynthesizer | None:
    """Name uploads after the stack where that is wanted; CDK's own way names them by their content alone."""
    if prefix is None:
        return None
    return DefaultStackSynthesizer(bucket_prefix=f"{prefix}/", docker_tag_prefix=f"{prefix}-")
