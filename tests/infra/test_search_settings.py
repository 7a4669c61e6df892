"""What of a search's settings cannot be meant, and a package that lacks its image."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.environment import LIMIT_BYTES, environment
from infra.errors import PackageError, SettingsError
from infra.settings import StackSettings
from infra.vector_stack import bucket_name
from tests.infra.conftest import Synth, synthesized
from tests.infra.test_batch import function

LANCE = {"batch_source": "photos", "search": "lance"}


@pytest.mark.parametrize(("given", "says"), [
    ({"search": "lance"}, "search=lance needs batch_source"),
    ({"search": "faiss", "batch_source": "photos"}, "search=faiss"),
    ({"search_memory": "2048", "batch_source": "photos"}, "without search=lance nothing is done with"),
    ({"search_url_buckets": "photos", "batch_source": "photos"}, "without search=lance nothing is done with"),
    ({**LANCE, "search_memory": "128"}, "search_memory=128"),
    ({**LANCE, "search_url_seconds": "604801"}, "search_url_seconds=604801"),  # S3's own limit is seven days
    ({**LANCE, "search_url_buckets": "s3://photos"}, "search_url_buckets"),
])  # fmt: skip
def test_settings_that_cannot_be_meant_are_named(given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        StackSettings.from_context(given)


def test_a_small_function_has_a_search_that_holds_lancedb(build_dir: Any, tmp_path: Path) -> None:
    template = synthesized(build_dir("image", "x86_64"), tmp_path, {**LANCE, "memory": "512"})
    assert function(template, "OpenCLIP embeddings")["MemorySize"] == 512
    for says in ("OpenCLIP search", "OpenCLIP index rebuild", "OpenCLIP index updates"):
        assert function(template, says)["MemorySize"] == 1_024


def test_a_package_without_the_image_is_refused_with_the_command(build_dir: Any, tmp_path: Path) -> None:
    from aws_cdk import App

    from infra.assembly import assemble
    from tests.infra import fake_build

    build = fake_build.write(tmp_path / "build", extras=("batch",))
    with pytest.raises(PackageError, match="python -m layer package --with batch --with search"):
        assemble(App(context={"build_dir": str(build), **LANCE}, outdir=str(tmp_path / "out")))


@pytest.mark.parametrize("given", ["search_url_buckets", "allowed_buckets"])
def test_what_the_search_has_of_its_own_counts_in_the_environment_that_lambda_takes(synth: Synth, given: str) -> None:
    """Names that fit into the API's own environment, and not beside the index's place and what else the search has."""
    size = len(json.dumps(environment(StackSettings(batch_source="photos", search="lance")), separators=(",", ":")))
    names = [f"images-{number:02}-{'x' * 30}" for number in range((LIMIT_BYTES - size - 30) // 41)]
    context = {**LANCE, "search_url_buckets": "photos", given: ",".join(names)}

    with pytest.raises(SettingsError, match=r"_buckets: with \d+ of them .*, and Lambda takes 4,096"):
        synth(**context)


@pytest.mark.parametrize("lists", [("allowed_buckets",), ("allowed_buckets", "search_url_buckets")])
def test_every_role_may_read_as_many_buckets_as_an_environment_has_room_for(
    synth: Synth, lists: tuple[str, ...]
) -> None:
    """Short names: more of them fit into an environment than into one of IAM's policies."""
    names = [f"b{number:03x}" for number in range(256, 256 + 620 // len(lists))]
    template = synth(**LANCE, **dict.fromkeys(lists, ",".join(names)))

    inline: dict[str, int] = {}
    read: set[str] = set()
    for item in template["Resources"].values():
        if item["Type"] not in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            continue
        document = item["Properties"]["PolicyDocument"]
        text = json.dumps(resolved(document), separators=(",", ":"))
        read |= set(re.findall(r"s3:::(b\w+)/\*", text))
        if item["Type"] == "AWS::IAM::ManagedPolicy":
            assert len(text) <= 6_144  # IAM's, as is the sum of a role's inline policies
            continue
        for role in item["Properties"]["Roles"]:
            inline[role["Ref"]] = inline.get(role["Ref"], 0) + len(text)
    assert max(inline.values()) <= 10_240
    assert read == set(names)


def resolved(value: Any) -> Any:
    """A policy with CloudFormation's functions as texts of the length that they may have."""
    if isinstance(value, dict) and set(value) == {"Ref"}:
        return "aws-us-gov" if value["Ref"] == "AWS::Partition" else "x" * 63
    if isinstance(value, dict) and set(value) == {"Fn::GetAtt"}:
        return "x" * 100
    if isinstance(value, dict) and set(value) == {"Fn::Join"}:
        return value["Fn::Join"][0].join(map(str, map(resolved, value["Fn::Join"][1])))
    if isinstance(value, dict):
        return {key: resolved(of) for key, of in value.items()}
    return [resolved(one) for one in value] if isinstance(value, list) else value


LONG = "a-stack-of-a-name-that-is-longer-than-a-bucket-s-may-be-in-every-"


def test_a_vector_bucket_has_its_stack_s_name_where_s3_takes_that() -> None:
    """A bucket of another name would replace the one that a deployment has."""
    assert bucket_name(StackSettings(stack_name="photos-2")) == "photos-2-vectors"
    assert bucket_name(StackSettings(stack_name=LONG[:54] + "b")) == LONG[:54] + "b-vectors"


def test_two_stacks_never_have_one_vector_bucket() -> None:
    """Amazon S3 User Guide, "Vector bucket naming rules": 3 to 63 lower-case letters, digits and hyphens."""
    stacks = ("photos", "Photos", "PHOTOS", LONG[:56], f"{LONG}one", f"{LONG}two", f"{LONG}Two", LONG[:55])
    names = [bucket_name(StackSettings(stack_name=stack)) for stack in stacks]

    assert len(set(names)) == len(stacks)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", name) for name in names), names


def test_images_that_are_turned_have_an_index_of_their_own_in_s3_vectors(synth: Synth, tmp_path: Path) -> None:
    """It cannot be made aside: those that were not turned would stay in it."""
    names = []
    for turned in ({}, {"exif_orientation": "true"}, {"exif_orientation": "false"}):
        template = synth(batch_source="photos", search="s3vectors", **turned)
        vectors = json.loads((tmp_path / "cdk.out" / "openclip-vectors.template.json").read_text())["Resources"]
        (index,) = [item["Properties"] for item in vectors.values() if item["Type"] == "AWS::S3Vectors::Index"]
        place = function(template, "OpenCLIP search")["Environment"]["Variables"]["OPENCLIP_INDEX"]
        assert place == f"s3vectors:openclip-vectors/{index['IndexName']}"
        names.append(index["IndexName"])
    assert names == [names[0], f"{names[0]}-upright", names[0]]
