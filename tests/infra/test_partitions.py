"""In China's regions services have other names: `logs.cn-north-1.amazonaws.com.cn`, where elsewhere they end in `.com`.

HashiCorp's provider, `aws_service_principal`: "`logs.amazonaws.com` in AWS Commercial, `logs.amazonaws.com.cn` in AWS
China".
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra.conftest import Synth, resources
from tests.infra.terraform.state import resolved

EVERYTHING: list[dict[str, Any]] = [
    {"allowed_buckets": "photos", "vpc": "isolated"},
    {"auth": "iam", "batch_source": "photos", "search": "lance", "search_url_buckets": "photos"},
    {"batch_source": "photos/2026/", "batch_output": "vectors", "search": "s3vectors"},
]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for one in value:
            yield from texts(one)
    if isinstance(value, str):
        yield value


@pytest.mark.parametrize("settings", EVERYTHING, ids=["api", "lance", "s3vectors"])
def test_no_name_is_of_another_partition(synth: Synth, settings: dict[str, Any]) -> None:
    template = synth(**settings)
    in_china = set(texts(resolved(template, template["Resources"])))
    assert [text for text in in_china if re.search(r"cn-north-1\.amazonaws\.com(?!\.cn)", text)] == []
    assert [text for text in in_china if re.search(r"\barn:aws:", text)] == []


def test_the_key_lets_logs_and_the_authorizer_use_it_by_their_names_there(synth: Synth) -> None:
    template = synth()
    [key] = resources(template, "AWS::KMS::Key")
    services = [one["Principal"].get("Service") for one in resolved(template, key["KeyPolicy"]["Statement"])]
    assert "logs.cn-north-1.amazonaws.com.cn" in services
    [secret] = resources(template, "AWS::SecretsManager::Secret")
    assert template["Resources"][secret["KmsKeyId"]["Fn::GetAtt"][0]]["Properties"] == key
    [authorizer] = [
        one for one in resources(template, "AWS::Lambda::Function") if one["Description"].startswith("Compares")
    ]
    mine = [{"Ref": authorizer["Role"]["Fn::GetAtt"][0]}]
    policies = [one for one in resources(template, "AWS::IAM::Policy") if one["Roles"] == mine]
    through = {"StringEquals": {"kms:ViaService": "secretsmanager.cn-north-1.amazonaws.com.cn"}}
    decrypt = {"Action": "kms:Decrypt", "Condition": through, "Effect": "Allow", "Resource": secret["KmsKeyId"]}
    assert (
        resolved(template, decrypt) in resolved(template, [one["PolicyDocument"]["Statement"] for one in policies])[0]
    )
