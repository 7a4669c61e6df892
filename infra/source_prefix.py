"""The prefix of a batch's source in a policy of IAM, which takes no character past Latin-1."""

import re

from infra.settings import StackSettings

PAST_LATIN_1 = re.compile(r"[^\x00-\xff]")  # botocore's model of IAM, policyDocumentType


def in_policy(prefix: str) -> str:
    """Return the prefix up to the first character that a policy cannot have: what begins so may be read."""
    return PAST_LATIN_1.split(prefix, maxsplit=1)[0]


def advice(settings: StackSettings) -> str | None:
    """Say where the worker may read more than the source; None where it may not."""
    bucket, prefix = settings.batch_bucket_and_prefix
    found = PAST_LATIN_1.search(prefix)
    if found is None:
        return None
    return (
        f"batch_source={settings.batch_source}: IAM takes no {found[0]} in a policy, so the worker may read all of "
        f"{bucket}/{in_policy(prefix)}. It embeds what is below the source alone"
    )
