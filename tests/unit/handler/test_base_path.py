"""A domain of one's own with a base path: the event's path keeps it, and the gateway's route tells what it is.

The shapes of the events: docs.aws.amazon.com, "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway" and
"Set up Lambda proxy integrations in API Gateway".
"""

import json
from pathlib import Path
from typing import Any

import pytest

from handler.errors import SettingsError
from handler.settings import Settings
from tests.unit.fake_bundle import FakeFunction

BODY = json.dumps({"input": "abc"})


def http_api(path: str, route: str, stage: str = "$default", **more: Any) -> dict[str, Any]:
    context = {"stage": stage, "http": {"method": "POST", "path": path}, "routeKey": route}
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": context,
        "body": BODY,
        "isBase64Encoded": False,
        **more,
    }


def rest_api(path: str, resource: str, proxy: str | None = None) -> dict[str, Any]:
    return {
        "resource": resource,
        "path": path,
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"},
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "queryStringParameters": None,
        "pathParameters": {"proxy": proxy} if proxy else None,
        "requestContext": {"resourcePath": resource, "httpMethod": "POST", "stage": "prod", "path": path},
        "body": BODY,
        "isBase64Encoded": False,
    }


def load_balancer(path: str) -> dict[str, Any]:
    event = rest_api(path, "")
    return {**event, "requestContext": {"elb": {"targetGroupArn": "arn"}}, "pathParameters": None}


@pytest.mark.parametrize(
    "event",
    [
        http_api("/clip/v1/embeddings", "POST /v1/embeddings"),
        http_api("/a/b/v1/embeddings", "ANY /v1/embeddings"),
        http_api("/clip/v1/embeddings", "POST /{proxy+}", pathParameters={"proxy": "v1/embeddings"}),
        http_api("/clip/v1/embeddings", "ANY /clip/{path+}", pathParameters={"path": "v1/embeddings"}),
        http_api("/prod/v1/embeddings", "$default", "prod"),
        http_api("/clip/prod/v1/embeddings", "POST /v1/embeddings", "prod"),
        http_api("/v1/embeddings", "$default"),
        rest_api("/clip/v1/embeddings", "/v1/embeddings"),
        rest_api("/clip/v1/embeddings", "/{proxy+}", "v1/embeddings"),
        rest_api("/v1/embeddings", "/{proxy+}", "v1/embeddings"),
    ],
)
def test_the_gateways_route_counts_whatever_stands_before_it(event: dict[str, Any], tmp_path: Path) -> None:
    answer = FakeFunction(tmp_path).invoke(event)
    assert (answer["statusCode"], json.loads(answer["body"])["object"]) == (200, "list")


@pytest.mark.parametrize(
    "event",
    [
        http_api("/clip/v1/embeddings", "$default"),  # also a Function URL, behind a distribution with a path
        load_balancer("/clip/v1/embeddings"),
    ],
)
def test_where_no_route_tells_a_setting_does(event: dict[str, Any], tmp_path: Path) -> None:
    without = FakeFunction(tmp_path / "a").invoke(event)
    error = json.loads(without["body"])["error"]
    assert (without["statusCode"], error["code"]) == (404, "not_found")
    assert (
        "if '/clip' is a base path of your domain in front of /v1/embeddings, set OPENCLIP_BASE_PATH"
        in error["message"]
    )

    assert FakeFunction(tmp_path / "b", base_path="/clip").invoke(event)["statusCode"] == 200


@pytest.mark.parametrize(
    "event",
    [
        http_api("/clip/v1/embeddingsx", "$default"),
        http_api("/clipper/v1/embeddings", "$default"),
        http_api("/x/clip/v1/embeddings", "$default"),
        http_api("/v1/nothing", "POST /v1/{name}", pathParameters={"name": "embeddings"}),
        http_api("/v1/nothing", "ANY /{proxy+}", pathParameters=None),
        http_api("/v1/nothing", "ANY /{proxy+}", pathParameters={"proxy": 7}),
        rest_api("/v1/nothing", "/{proxy+}"),
    ],
)
def test_any_other_path_stays_unknown(event: dict[str, Any], tmp_path: Path) -> None:
    answer = FakeFunction(tmp_path, base_path="/clip").invoke(event)
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("route", ["/v1/embeddings", "/health", "/vectorize"])
def test_a_part_of_our_own_paths_in_front_of_a_route_is_taken_for_no_base_path(route: str, tmp_path: Path) -> None:
    """A client that adds /v1 to an address that ends in it."""
    error = json.loads(FakeFunction(tmp_path).invoke(http_api(f"/v1{route}", "$default"))["body"])["error"]
    assert f"leave out '/v1' in front of {route}. There are /v1/embeddings, " in error["message"]
    assert "OPENCLIP_BASE_PATH" not in error["message"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/v1/embed", "take cohere.ClientV2 (JavaScript: CohereClientV2), which asks /v2/embed"),
        ("/v1/v1/embed", "take cohere.ClientV2 (JavaScript: CohereClientV2), which asks /v2/embed"),
        ("/clip/v1/embed", "take cohere.ClientV2 (JavaScript: CohereClientV2), which asks /v2/embed"),
        ("/openai/deployments/a/b/embeddings", "take openai.OpenAI in the place of AzureOpenAI"),
        ("/v1/deployments/a/b/embeddings", "take openai.OpenAI in the place of AzureOpenAI"),
        ("/k/secret/health", "`authorization: Bearer <key>`"),
        ("/embeddings", "put /v1 in front of it, as in the base URL: /v1/embeddings"),
        ("/models", "put /v1 in front of it, as in the base URL: /v1/models"),
        ("/v1/embeddings/embeddings", "leave /embeddings out of the base URL: the client asks /v1/embeddings then"),
        ("/v1/embeddings/models", "leave /embeddings out of the base URL: the client asks /v1/models then"),
        ("/v2/embed/v2/embed", "leave /v2/embed out of the base URL: the client asks /v2/embed then"),
        ("/vectorize/vectorize", "leave /vectorize out of the base URL: the client asks /vectorize then"),
        ("/multimodalembeddings", "put /v1 in front of it, as in the base URL: /v1/multimodalembeddings"),
    ],
)
def test_a_path_that_a_client_is_known_to_ask_is_told_what_to_do(path: str, says: str, tmp_path: Path) -> None:
    """cohere.Client, the older of the package's two, asks /v1/embed; text-embeddings-inference's route is no help.

    openai's AzureOpenAI asks the next two, by `azure_endpoint` and by `base_url`. openai's and voyageai's clients ask
    paths without /v1 where `base_url` is the address alone. Where it is a route's, each asks that twice.
    """
    error = json.loads(FakeFunction(tmp_path).invoke(http_api(path, "$default"))["body"])["error"]
    assert error["message"].endswith(says)
    assert "OPENCLIP_BASE_PATH" not in error["message"]


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("//v1/embeddings", "/v1/embeddings"),
        ("/v1/embeddings/", "/v1/embeddings"),
        ("/clip//v1/embeddings", "/clip/v1/embeddings"),
        ("//k/secret/vectorize", "/k/secret/vectorize"),
    ],
)
def test_an_address_with_too_many_slashes_is_told_so_and_of_no_base_path(path: str, plain: str, tmp_path: Path) -> None:
    function = FakeFunction(tmp_path, base_path="/clip")
    error = json.loads(function.invoke(http_api(path, "$default"))["body"])["error"]
    said = error if isinstance(error, str) else error["message"]
    assert said.endswith(f"leave out the slashes that are too many: '{plain}'")
    assert "/embeddings" not in plain or function.invoke(http_api(plain, "$default"))["statusCode"] == 200


@pytest.mark.parametrize("event", [http_api("/v1", "ANY /{a+}", pathParameters=[1]), http_api("/v1", [])])  # type: ignore[arg-type]
def test_an_event_that_no_gateway_sends_is_refused(event: dict[str, Any], tmp_path: Path) -> None:
    answer = FakeFunction(tmp_path).invoke(event)
    assert (answer["statusCode"], json.loads(answer["body"])["error"]["code"]) == (400, "invalid_event")


def test_the_base_paths_own_page_is_the_playground(tmp_path: Path) -> None:
    event = http_api("/clip", "GET /")
    event["requestContext"]["http"]["method"] = "GET"
    assert FakeFunction(tmp_path).invoke(event)["headers"]["content-type"].startswith("text/html")


@pytest.mark.parametrize("value", ["clip", "/clip/", "/", "/cl\nip"])
def test_a_base_path_that_cannot_be_meant_stops_the_start(value: str) -> None:
    with pytest.raises(SettingsError, match="OPENCLIP_BASE_PATH"):
        Settings.from_env({"OPENCLIP_BASE_PATH": value})
