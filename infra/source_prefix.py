"""A batch's source, a bucket or bucket/prefix, and the part of it that an IAM policy can express."""

import re

BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
PREFIX_BYTES = 900  # of the 1,024 that S3 takes for a key
# In a policy: wildcards, a variable, and what ends a string of JSON.
NOT_IN_A_PREFIX = re.compile(r'[*?"\\\x00-\x1f\x7f]|\$\{')
PAST_LATIN_1 = re.compile(r"[^\x00-\xff]")  # botocore's model of IAM, policyDocumentType


def check_source(value: str) -> str:
    """Return a bucket with or without a prefix, which comes into a policy. Raises ValueError for one that cannot."""
    bucket, _, prefix = value.partition("/")
    if not re.fullmatch(BUCKET, bucket) or bucket.endswith("\n"):
        raise ValueError("give a bucket's name, or bucket/prefix, without s3://")
    if found := NOT_IN_A_PREFIX.search(prefix):
        raise ValueError(
            f"a prefix is no pattern, and IAM would take {found[0]!r} in it for one: give batch_source="
            f"{bucket}/{prefix[: found.start()]}, and start runs with the part that is meant"
        )
    if len(prefix.encode()) > PREFIX_BYTES:
        raise ValueError(f"the prefix has more than {PREFIX_BYTES} bytes: give a shorter one")
    return value


def in_policy(prefix: str) -> str:
    """Return the prefix up to the first character that a policy cannot have: what begins so may be read."""
    return PAST_LATIN_1.split(prefix, maxsplit=1)[0]


def advice(source: str | None) -> str | None:
    """Say where the worker may read more than the source; None where it may not."""
    bucket, _, prefix = (source or "").partition("/")
    found = PAST_LATIN_1.search(prefix)
    if found is None:
        return None
    return (
        f"batch_source={source}: IAM takes no {found[0]} in a policy, so the worker may read all of "
        f"{bucket}/{in_policy(prefix)}. It embeds what is below the source alone"
    )
