"""`-c search=...`: what it adds, what its roles may do, and that without it nothing changes."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from handler.search.routes import table
from handler.search.settings import SearchSettings
from infra.api import ROUTES, SEARCH_ROUTES
from layer.package import search_image
from tests.infra.conftest import Synth, Template, resources
from tests.infra.test_alarms import names
from tests.infra.test_batch import function, statements
from tests.infra.watching import fired, point, resolve

SEARCH, REBUILD, UPDATES = "OpenCLIP search", "OpenCLIP index rebuild", "OpenCLIP index updates"
LANCE = {"batch_source": "photos", "search": "lance"}
ALARMS = {
    *("SearchErrors", "SearchThrottles", "SlowSearches", "SearchInternalErrors", "SearchNotReady"),
    *("RebuildErrors", "UpdateErrors", "LateUpdates", "FailedUpdates"),
}


@pytest.fixture(scope="module", params=[("image", "x86_64"), ("layer", "arm64")])
def template(request: pytest.FixtureRequest, build_dir: Any, tmp_path_factory: pytest.TempPathFactory) -> Template:
    from tests.infra.conftest import synthesized

    shape, architecture = request.param
    context = {**LANCE, "search_memory": "4096", "allowed_buckets": "images"}
    context |= {"search_url_buckets": "photos", "search_url_seconds": "60"}
    return synthesized(build_dir(shape, architecture), tmp_path_factory.mktemp("search"), context)


def name_of(template: Template, says: str) -> str:
    """The logical id of the function whose description begins with `says`."""
    (name,) = [
        key
        for key, item in template["Resources"].items()
        if item["Type"] == "AWS::Lambda::Function" and item["Properties"].get("Description", "").startswith(says)
    ]
    return str(name)


def allowed(template: Template, says: str) -> dict[str, set[str]]:
    """What a function may do in S3, by action: the resources, with the output bucket as OUT."""
    found: dict[str, set[str]] = {}
    output = next(key for key, item in template["Resources"].items() if item["Type"] == "AWS::S3::Bucket")
    for statement in statements(template, function(template, says)):
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        for one in statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]:
            for action in actions:
                found.setdefault(action, set()).add(resolve(one).replace(output, "OUT"))
    return {action: where for action, where in found.items() if action.startswith(("s3:", "s3vectors:"))}


def test_without_the_setting_nothing_of_a_search_is_there(synth: Synth) -> None:
    template = synth(batch_source="photos")
    described = [item.get("Description", "") for item in resources(template, "AWS::Lambda::Function")]
    assert not [one for one in described if one.startswith((SEARCH, REBUILD, UPDATES))]
    assert not {route["RouteKey"].partition(" ")[2] for route in resources(template, "AWS::ApiGatewayV2::Route")} & set(
        SEARCH_ROUTES
    )
    (bucket,) = resources(template, "AWS::S3::Bucket")
    assert "NotificationConfiguration" not in bucket
    assert not set(ROUTES) & set(SEARCH_ROUTES)


def test_the_three_functions_are_one_image_with_an_entry_point_each(template: Template) -> None:
    search, rebuild, updates = (function(template, says) for says in (SEARCH, REBUILD, UPDATES))

    assert search["Code"] == rebuild["Code"] == updates["Code"]
    assert "ImageConfig" not in search  # the image's own command
    assert rebuild["ImageConfig"] == {"Command": ["handler.search.rebuild_app.lambda_handler"]}
    assert updates["ImageConfig"] == {"Command": ["handler.search.updates_app.lambda_handler"]}
    api = function(template, "OpenCLIP embeddings")
    assert search["Code"] != api["Code"]
    assert search["SnapStart"] == api["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert {one["MemorySize"] for one in (search, rebuild, updates)} == {4096}
    assert search["Architectures"] == api["Architectures"]
    assert (rebuild["Timeout"], updates["Timeout"]) == (900, 300)
    assert {one["EphemeralStorage"]["Size"] for one in (rebuild, updates)} == {10_240}  # an index is sorted there
    assert search["EphemeralStorage"] == api["EphemeralStorage"]  # SnapStart takes no more


def test_its_environment_is_the_apis_with_the_index(template: Template) -> None:
    variables = function(template, SEARCH)["Environment"]["Variables"]
    own = {"OPENCLIP_INDEX", "OPENCLIP_SEARCH_REBUILD"}
    own |= {"OPENCLIP_SEARCH_URL_BUCKETS", "OPENCLIP_SEARCH_URL_SECONDS"}
    api = function(template, "OpenCLIP embeddings")["Environment"]["Variables"]
    assert {name: value for name, value in variables.items() if name not in own} == api
    (bucket,) = [key for key, item in template["Resources"].items() if item["Type"] == "AWS::S3::Bucket"]
    assert resolve(variables["OPENCLIP_INDEX"]) == f"s3://{bucket}/index"
    place = f"s3://{bucket}/index"
    assert SearchSettings.from_env({**variables, "OPENCLIP_INDEX": place}) == SearchSettings(place, ("photos",), 60)
    assert variables["OPENCLIP_SEARCH_REBUILD"] == "openclip-lambda batch index --stack openclip"
    outputs = {name: resolve(one["Value"]) for name, one in template["Outputs"].items()}
    assert outputs["SearchRebuild"] == name_of(template, REBUILD)  # which that command invokes


def test_what_the_gateway_calls_is_what_the_functions_answer(template: Template, tmp_path: Path) -> None:
    answered = table(SearchSettings(str(tmp_path))).routes
    of_api = {path.replace("{proxy+}", "{model}") for path in ROUTES}
    own = {path: set(methods) for path, methods in answered.items() if path not in of_api}
    gateway = {path: {one.value for one in methods} - {"HEAD"} for path, methods in SEARCH_ROUTES.items()}
    assert gateway == own
    assert "/health" in answered  # what a new version is asked before it goes live
    commands = [function(template, says)["ImageConfig"]["Command"] for says in (REBUILD, UPDATES)]
    for entry in [search_image.COMMAND, *(command for (command,) in commands)]:
        module, _, name = entry.rpartition(".")
        tree = ast.parse((Path(__file__).parents[2] / (module.replace(".", "/") + ".py")).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_routes_call_the_alias_with_the_authorizer_of_the_others(template: Template) -> None:
    routes = {route["RouteKey"]: route for route in resources(template, "AWS::ApiGatewayV2::Route")}
    ours = {f"{method.value} {path}" for path, methods in SEARCH_ROUTES.items() for method in methods}
    assert ours == {"POST /v1/search", "POST /v1/index", "GET /v1/index", "HEAD /v1/index"}

    (integration,) = {resolve(routes[key]["Target"]).removeprefix("integrations/") for key in ours}
    uri = template["Resources"][integration]["Properties"]["IntegrationUri"]["Ref"]
    alias = template["Resources"][uri]
    assert alias["Type"] == "AWS::Lambda::Alias"
    assert alias["Properties"]["FunctionName"] == {"Ref": name_of(template, SEARCH)}
    assert {routes[key]["AuthorizerId"]["Ref"] for key in ours} == {
        routes["POST /v1/embeddings"]["AuthorizerId"]["Ref"]
    }
    gates = {key for key, item in template["Resources"].items() if item["Type"] == "Custom::HealthGate"}
    assert len(gates & set(alias["DependsOn"])) == 1  # a search that cannot answer never goes live


def test_each_role_may_do_what_its_function_does_and_no_more(template: Template) -> None:
    index = {"OUT/index/*"}
    writes = {"s3:PutObject": index, "s3:DeleteObject": index, "s3:AbortMultipartUpload": index}
    images = {"arn:aws:s3:::images/*", "arn:aws:s3:::photos/*"}

    def plain(says: str) -> dict[str, set[str]]:
        found = allowed(template, says)
        return {action: {one.replace("AWS::Partition", "aws") for one in where} for action, where in found.items()}

    search = plain(SEARCH)
    assert search.pop("s3:GetObject") == index | images
    assert search.pop("s3:GetObjectVersion") == {"arn:aws:s3:::images/*"}
    assert search == {**writes, "s3:ListBucket": {"OUT"}}
    for says in (REBUILD, UPDATES):
        found = plain(says)
        assert found.pop("s3:GetObject") == index | {"OUT/vectors/*", "OUT/deletions/*"}
        assert found == {**writes, "s3:ListBucket": {"OUT"}}
    wide = [one for says in (SEARCH, REBUILD, UPDATES) for one in statements(template, function(template, says))]
    assert not [one for one in wide if one["Resource"] == "*" and not str(one["Action"]).count("xray")]


def test_what_arrivals_write_goes_to_the_updates_two_at_once_and_what_fails_to_a_queue(template: Template) -> None:
    (rule,) = [
        item
        for item in resources(template, "AWS::Events::Rule")
        if item.get("EventPattern", {}).get("detail-type") == ["Object Created"]
    ]
    keys = [one["prefix"] for one in rule["EventPattern"]["detail"]["object"]["key"]]
    manifest = function(template, SEARCH)["Description"].rpartition(" ")[2]
    assert keys == [f"{kind}/model={manifest}/run=arrivals/" for kind in ("vectors", "deletions")]
    (bucket,) = [item for item in template["Resources"].values() if item["Type"] == "AWS::S3::Bucket"]
    sends = bucket["Properties"]["NotificationConfiguration"]["EventBridgeConfiguration"]
    assert sends == {"EventBridgeEnabled": True}

    (mapping,) = [
        item
        for item in resources(template, "AWS::Lambda::EventSourceMapping")
        if item["FunctionName"] == {"Ref": name_of(template, UPDATES)}
    ]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert mapping["MaximumBatchingWindowInSeconds"] <= 10
    queue = template["Resources"][mapping["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
    assert queue["VisibilityTimeout"] == 6 * function(template, UPDATES)["Timeout"]  # AWS Lambda's guide on SQS
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5  # the same
    assert all("KmsMasterKeyId" in item for item in resources(template, "AWS::SQS::Queue"))


def test_an_output_bucket_of_the_users_is_left_as_it_is(synth: Synth) -> None:
    template = synth(**LANCE, batch_output="my-vectors")
    assert resources(template, "AWS::S3::Bucket") == []
    assert function(template, SEARCH)["Environment"]["Variables"]["OPENCLIP_INDEX"] == "s3://my-vectors/index"


def test_s3_vectors_has_a_stack_of_its_own(synth: Synth, tmp_path: Path) -> None:
    template = synth(batch_source="photos", search="s3vectors", stack_name="Photos")

    assert not [item for item in template["Resources"].values() if item["Type"].startswith("AWS::S3Vectors")]
    vectors = json.loads((tmp_path / "cdk.out" / "Photos-vectors.template.json").read_text())["Resources"]
    of = {item["Type"]: item for item in vectors.values()}
    bucket = of["AWS::S3Vectors::VectorBucket"]["Properties"]
    index = of["AWS::S3Vectors::Index"]["Properties"]
    assert bucket["VectorBucketName"] == index["VectorBucketName"] == "photos-5e3147ab-vectors"
    assert bucket["EncryptionConfiguration"] == {"SseType": "AES256"}
    manifest = function(template, SEARCH)["Description"].rpartition(" ")[2]
    assert index["IndexName"] == f"openclip-{manifest}"
    assert (index["DataType"], index["DistanceMetric"], index["Dimension"]) == ("float32", "cosine", 4)
    place = function(template, SEARCH)["Environment"]["Variables"]["OPENCLIP_INDEX"]
    assert place == f"s3vectors:photos-5e3147ab-vectors/openclip-{manifest}"
    arn = "arn:AWS::Partition:s3vectors:AWS::Region:AWS::AccountId:bucket/photos-5e3147ab-vectors/index/*"
    for says in (SEARCH, REBUILD, UPDATES):
        found = allowed(template, says)
        assert {action for action, where in found.items() if where == {arn}} == {
            f"s3vectors:{name}Vectors" for name in ("Get", "List", "Query", "Put", "Delete")
        } | {"s3vectors:GetIndex"}
        assert not {"s3:PutObject", "s3:DeleteObject"} & set(found)


def test_the_index_of_s3_vectors_is_replaced_when_the_new_version_has_passed_its_health_check(
    synth: Synth, tmp_path: Path
) -> None:
    synth(batch_source="photos", search="s3vectors", stack_name="Photos")

    # Names of an index cannot change, so CloudFormation deletes the old one: AWS::S3Vectors::Index, "IndexName".
    # The CDK CLI deploys no stack of which a dependency has failed.
    order = json.loads((tmp_path / "cdk.out" / "manifest.json").read_text())["artifacts"]
    assert "Photos" in order["Photos-vectors"]["dependencies"]
    assert "Photos-vectors" not in order["Photos"]["dependencies"]


def test_alarms_watch_the_search_and_what_keeps_its_index_current(template: Template) -> None:
    assert names(template) > ALARMS
    search, rebuild, updates = (name_of(template, says) for says in (SEARCH, REBUILD, UPDATES))
    live = {"FunctionName": search, "Resource": f"{search}:live"}
    (poison,) = [key for key in template["Resources"] if key.startswith("SearchArrivalsPoison") and "Policy" not in key]
    (queue,) = [key for key in template["Resources"] if key.startswith("SearchArrivalsQueue") and "Policy" not in key]
    told = {
        "SearchErrors": point("AWS/Lambda", "Errors", 1, **live),
        "SearchThrottles": point("AWS/Lambda", "Throttles", 1, **live),
        "SlowSearches": point("AWS/Lambda", "Duration", 10_000, **live),
        "SearchInternalErrors": point("OpenCLIP", "Rejected", 1, FunctionName=search, Code="internal_error"),
        "SearchNotReady": point("OpenCLIP", "Rejected", 1, FunctionName=search, Code="not_ready"),
        "RebuildErrors": point("AWS/Lambda", "Errors", 1, FunctionName=rebuild),
        "UpdateErrors": point("AWS/Lambda", "Errors", 1, FunctionName=updates),
        "LateUpdates": point("AWS/SQS", "ApproximateAgeOfOldestMessage", 300, QueueName=queue),
        "FailedUpdates": point("AWS/SQS", "ApproximateNumberOfMessagesVisible", 1, QueueName=poison),
    }
    assert set(told) == ALARMS
    assert {name: fired(template, [one]) for name, one in told.items()} == {name: {name} for name in told}
    (board,) = resources(template, "AWS::CloudWatch::Dashboard")
    assert "Index updates" in json.dumps(board)
