"""The stack's settings: what may stand in cdk.json and behind -c, and what is said where it may not."""

from pathlib import Path
from typing import Any

import pytest

from infra.errors import SettingsError
from infra.settings import NEEDS, StackSettings

JWT = {"auth": "jwt", "jwt_issuer": "https://a.example", "jwt_audience": "a"}
COLD = {"snap_start": "false"}


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
        ({"colour": "red"}, "colour is not a setting: there are alarm_cold_start"),
        ({"memroy": "2048"}, "memroy is not a setting; did you mean 'memory'"),
        ({"snapstart": "false"}, "snapstart is not a setting; did you mean 'snap_start'"),
        ({"memory ": "2048"}, "'memory ' is not a setting; did you mean 'memory'"),
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
        (
            {"jwt_issuer": "https://a.example"},
            "without auth=jwt nothing is done with jwt_issuer: set it, or leave jwt_issuer out",
        ),
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
        # more than the handler's default of all images of a request, and less than its default of one
        ({"max_image_pixels": "400000001"}, "max_image_pixels=400000001 is more than max_request_pixels=400000000"),
        ({"max_request_pixels": "39999999"}, "max_image_pixels=40000000 is more than max_request_pixels=39999999"),
        ({"previous_key_minutes": "-1"}, "previous_key_minutes=-1"),
        ({"pages": "perhaps"}, "pages=perhaps"),
        ({"pages_rate": "0"}, "pages_rate=0"),
        ({"vpc": "vpc-123"}, "vpc=vpc-123"),
        ({"stack_name": "1st"}, "stack_name=1st"),
        ({"auth": "jwt", "jwt_issuer": "https://", "jwt_audience": "a"}, "jwt_issuer=https://"),
        ({"auth": "jwt", "jwt_issuer": "https://a.example b", "jwt_audience": "a"}, "jwt_issuer=https://a.example b"),
        (
            {**JWT, "jwt_issuer": "https://a.example/x/.well-known/openid-configuration"},
            "API Gateway adds /.well-known/openid-configuration itself: write https://a.example/x (in",
        ),
        ({"cors_origins": "https://A.example"}, "cors_origins.0=https://A.example"),
        ({"cors_origins": "https://a.example?b"}, "cors_origins.0=https://a.example?b"),
        ({"alarm_p99": "500"}, "alarm_p99=500 is over the timeout and never reached: give 29 at most"),  # meant as ms
        ({"alarm_topic_arn": "arn:aws:sns:eu-west-1:111122223333:"}, "alarm_topic_arn=arn:aws:sns:"),
        ({"alarm_topic_arn": "arn:aws:sns:eu-west-1:1111:alarms"}, "alarm_topic_arn=arn:aws:sns:"),
    ],
)
def test_what_cannot_be_meant_is_named_with_its_value(context: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        StackSettings.from_context(context)

    assert says in str(caught.value)


# AWS Lambda, quotas: 128 to 10,240 MB of memory and 512 to 10,240 of /tmp, 900 seconds, 6,291,456 bytes; an HTTP API
# waits 30 seconds. SnapStart takes 512 MB of /tmp. CloudWatch Logs keeps for ten years at most.
@pytest.mark.parametrize(
    ("context", "past"),
    [
        ({"memory": "10240"}, {"memory": "10241"}),
        ({**COLD, "ephemeral_storage": "10240"}, {"ephemeral_storage": "10241"}),
        ({"ephemeral_storage": "512"}, {"ephemeral_storage": "513"}),
        ({"direct_invokes": "true", "timeout": "900"}, {"timeout": "901"}),
        ({"timeout": "29"}, {"timeout": "30"}),
        ({"max_body_bytes": "6291456"}, {"max_body_bytes": "6291457"}),
        ({"log_retention": "3653"}, {"log_retention": "3654"}),
        ({**COLD, "reserved_concurrency": "3", "provisioned_concurrency": "2"}, {"provisioned_concurrency": "3"}),
        ({**COLD, "provisioned_concurrency": "2"}, {"snap_start": "true"}),
        ({"memory": "2048", "model_memory_mb": "2048"}, {"model_memory_mb": "2049"}),
        ({"alarm_p99": "29"}, {"alarm_p99": "29.5"}),
        ({"timeout": "20", "alarm_p99": "20"}, {"alarm_p99": "21"}),
        ({"direct_invokes": "true", "alarm_p99": "60"}, {"direct_invokes": "false"}),
        ({"alarm_cold_start": "900"}, {"alarm_cold_start": "8000"}),
        ({"max_image_pixels": "9", "max_request_pixels": "9"}, {"max_image_pixels": "10"}),
        (JWT, {"jwt_audience": ""}),
        (JWT, {"jwt_issuer": None}),
        ({"vpc": "isolated"}, {"batch_source": "photos"}),
        ({"batch_source": "photos"}, {"vpc": "isolated"}),
        ({"batch_source": "photos", "search": "lance"}, {"batch_source": None}),
        ({"batch_source": "photos", "batch_max_failed": "1"}, {"batch_max_failed": "1.1"}),
        ({"batch_source": "photos", "batch_tolerated_shards": "100"}, {"batch_tolerated_shards": "101"}),
    ],
)
def test_the_last_that_aws_takes_is_taken_and_what_is_past_it_refused(
    context: dict[str, Any], past: dict[str, Any]
) -> None:
    assert StackSettings.from_context(context)
    with pytest.raises(SettingsError):
        StackSettings.from_context({**context, **past})


@pytest.mark.parametrize("key", ["memory ", " memory", "memory.mb", "2memory", "mem\u00f3ry", ""])
def test_a_key_that_is_not_cdks_is_one_of_ours_or_refused(key: str) -> None:
    with pytest.raises(SettingsError, match="is not a setting"):
        StackSettings.from_context({key: "2048"})


UNSET = [name for name, field in StackSettings.model_fields.items() if field.default in (None, ())]


@pytest.mark.parametrize("name", UNSET)
@pytest.mark.parametrize("value", ["none", "None", "null"])
def test_the_default_none_of_the_page_is_not_taken_for_a_name(name: str, value: str) -> None:
    """`batch_source=none` would give the worker's role the bucket "none", which is somebody's."""
    with pytest.raises(
        SettingsError, match=f"{name}={value} would be a value: (leave {name} out for none|write {name}=)"
    ):
        StackSettings.from_context({"batch_source": "photos", "search": "lance", **JWT, name: value})


def test_none_is_a_value_where_the_page_says_so() -> None:
    settings = StackSettings.from_context({"auth": "none", "vpc": "none", "batch_source": None, "dialects": ""})

    assert (settings.auth, settings.vpc, settings.batch_source, settings.dialects) == ("none", "none", None, ())


def test_the_build_directory_may_be_below_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")

    assert StackSettings.from_context({"build_dir": "~/photos/build"}).build_dir == Path("/home/me/photos/build")


@pytest.mark.parametrize("name", sorted(StackSettings.model_fields))
@pytest.mark.parametrize("value", [{"a": 1}, [["a"]], {}, [None]])
def test_a_value_of_json_that_no_setting_has_is_named(name: str, value: object) -> None:
    """cdk.json may hold any: pydantic's validators and ours say what it is, and no traceback ends the synthesis."""
    with pytest.raises(SettingsError, match=name):
        StackSettings.from_context({name: value})


@pytest.mark.parametrize("value", [5, None, True, ["build"]])
def test_a_build_directory_that_is_no_text_is_named(value: object) -> None:
    with pytest.raises(SettingsError, match=r"build_dir=.*not a valid path"):
        StackSettings.from_context({"build_dir": value})


NUMBERS = [name for name, field in StackSettings.model_fields.items() if field.annotation is float]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["inf", "nan", "1e999"])
def test_a_number_that_no_template_can_hold_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name}={value}: Input should be"):
        StackSettings.from_context({"batch_source": "photos", name: value})


OFF = {"batch_source": {}, "search": {"batch_source": "photos"}, "pages": {"pages": "false"}}
OFF |= {"search_url_buckets": {"batch_source": "photos", "search": "lance"}}
IDLE = [(needed, value, name) for names, needed, value in NEEDS for name in names]


@pytest.mark.parametrize(("needed", "value", "name"), IDLE)
def test_a_setting_that_would_do_nothing_is_refused(needed: str, value: str, name: str) -> None:
    """Even at its default: whoever writes it down means it."""
    default = StackSettings.model_fields[name].get_default()
    texts = {"jwt_issuer": "https://a.example", "search_memory": "2048", "search_url_seconds": "60"}
    texts |= {"batch_memory": "2048"}
    given = texts.get(name, "somebody" if default in (None, ()) else str(default))
    off = OFF.get(needed, {"auth": "iam"})

    with pytest.raises(SettingsError, match=rf"without {needed}={value} nothing is done with {name}"):
        StackSettings.from_context({**off, name: given})
    assert StackSettings.from_context({**off, name: None} if default is None else off)


def test_the_settings_of_a_batch_are_all_for_its_source() -> None:
    of_batch = {name for name in StackSettings.model_fields if name.startswith("batch_")} - {"batch_source"}
    of_search = {name for name in StackSettings.model_fields if name.startswith("search_")}

    told = {needed: set(names) for names, needed, _ in reversed(NEEDS)}
    assert (told["batch_source"], told["search"]) == (of_batch, of_search)
