"""Who of AWS's services may use what is the stack's: for this account, or a stranger could have them do it.

IAM User Guide, "The confused deputy problem": a service acts for whoever set it up, in whichever account.
"""

from typing import Any

import pytest

from tests.infra.conftest import Synth, resources
from tests.infra.test_partitions import EVERYTHING

SOURCES = ("aws:SourceAccount", "aws:SourceArn", "kms:EncryptionContext:aws:logs:arn")  # each names the account


def conditions(statement: dict[str, Any]) -> set[str]:
    return {name for operator in statement.get("Condition", {}).values() for name in operator}


@pytest.mark.parametrize("settings", EVERYTHING, ids=["api", "lance", "s3vectors"])
def test_no_service_acts_for_another_account(synth: Synth, settings: dict[str, Any]) -> None:
    template = synth(**settings)
    policies = [key["KeyPolicy"] for key in resources(template, "AWS::KMS::Key")]
    policies += [queue["PolicyDocument"] for queue in resources(template, "AWS::SQS::QueuePolicy")]
    policies += [bucket["PolicyDocument"] for bucket in resources(template, "AWS::S3::BucketPolicy")]
    statements = [statement for policy in policies for statement in policy["Statement"]]
    services = [one for one in statements if one["Effect"] == "Allow" and "Service" in one["Principal"]]

    assert services
    assert [one for one in services if not conditions(one) & set(SOURCES)] == []
    permissions = resources(template, "AWS::Lambda::Permission")
    assert [one for one in permissions if not {"SourceArn", "SourceAccount"} & set(one)] == []
