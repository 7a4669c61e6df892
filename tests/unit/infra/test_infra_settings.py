"""The stack's settings: what may stand in cdk.json and behind -c, and what is said where it may not."""

from pathlib import Path
from typing import Any

import pytest

from infra.errors import SettingsError
from infra.settings import StackSettings


def test_values_of_the_command_line_are_texts() -> None:
    context = {"memory": "2048", "snap_start": "false", "allowed_buckets": "images, more", "throttle_rate": "2.5"}

    settings = StackSettings.from_context(context)

    assert (settings.memory, settings.snap_start, settings.throttle_rate) == (2048, False, 2.5)
    assert settings.allowed_buckets == ("images", "more")


def test_values_of_cdk_json_may_be_lists() -> None:
    assert StackSettings.from_context({"cors_origins": ["https://a.example"]}).cors_origins == ("https://a.example",)


def test_cdks_own_context_is_none_of_ours() -> None:
    context = {"@aws-cdk/core:flag": True, "aws:cdk:bundling-stacks": ["**"], "availability-zones:account=1": []}
    context |= {"cli-telemetry": False, "acknowledged-issue-numbers": [34892]}  # as the CDK CLI writes them

    assert StackSettings.from_context(context) == StackSettings()


def test_the_default_is_closed_and_fast() -> None:
    settings = StackSettings()

    assert (settings.auth, settings.snap_start, settings.allowed_buckets, settings.cors_origins) == (
        "api_key",
        True,
        (),
        (),
    )
    assert settings.build_dir == Path("build")


@pytest.mark.parametrize(
    ("context", "says"),
    [
        ({"memroy": "2048"}, "memroy is not a setting: there are alarm_cold_start"),
        ({"stack-name": "mine"}, "stack-name is not a setting: names have no hyphen, say stack_name"),
        ({"reserved-concurency": "4"}, "say reserved_concurrency"),
        ({"memory": "64"}, "memory=64"),
        ({"memory": "lots"}, "memory=lots"),
        ({"auth": "apikey"}, "auth=apikey"),
        ({"snap_start": "perhaps"}, "snap_start=perhaps"),
        ({"allowed_buckets": "Images_1"}, "allowed_buckets.0=Images_1"),
        ({"auth": "jwt"}, "auth=jwt needs jwt_issuer"),
        ({"cors_origins": "https://a.example/"}, "cors_origins.0=https://a.example/"),
        ({"cors_origins": "a.example"}, "cors_origins.0=a.example"),
        ({"jwt_issuer": "https://a.example"}, "have no effect with auth=api_key"),
        ({"auth": "jwt", "jwt_issuer": "http://a.example", "jwt_audience": "a"}, "jwt_issuer=http://a.example"),
        ({"provisioned_concurrency": "2"}, "exclude each other"),
        ({"ephemeral_storage": "1024"}, "set snap_start=false"),
        ({"snap_start": "false", "reserved_concurrency": 1, "provisioned_concurrency": 2}, "reserved_concurrency=3"),
        # AWS Lambda, "Understanding reserved concurrency and provisioned concurrency": then nothing else runs
        ({"snap_start": "false", "reserved_concurrency": 2, "provisioned_concurrency": 2}, "reserved_concurrency=3"),
        ({"log_retention": "31"}, "log_retention=31: CloudWatch takes 1, 3"),
        ({"timeout": "901"}, "timeout=901"),
        (
            {"timeout": "30"},
            "nobody gets a later result. For callers who invoke the function itself, set direct_invokes=true",
        ),
        ({"log_level": "WARN"}, "log_level=WARN"),
        ({"max_items": "0"}, "max_items=0"),
        ({"max_body_bytes": "6291457"}, "max_body_bytes=6291457"),
        ({"model_memory_mb": "4096"}, "model_memory_mb=4096 is more than memory=3008"),
        ({"max_image_pixels": "9", "max_request_pixels": "8"}, "max_image_pixels=9 is more than max_request_pixels=8"),
        ({"previous_key_minutes": "-1"}, "previous_key_minutes=-1"),
        ({"pages": "perhaps"}, "pages=perhaps"),
        ({"pages_rate": "0"}, "pages_rate=0"),
        ({"vpc": "vpc-123"}, "vpc=vpc-123"),
        ({"stack_name": "1st"}, "stack_name=1st"),
    ],
)
def test_what_cannot_be_meant_is_named_with_its_value(context: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        StackSettings.from_context(context)

    assert says in str(caught.value)
