"""With --sigv4, what is signed is what is sent: botocore computes the same signature from the request that arrived."""

import re

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from openclip_lambda import Client, ClientError, credentials
from openclip_lambda.api import Api
from openclip_lambda.batch import aws

from tests.unit.client.conftest import Scripted

OF = Credentials("AKIAEXAMPLE", "secret", "token")


@pytest.mark.parametrize("base", ["", "/prod", "/a%20b", "/bücher", "/x~y(1)!"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_arrives_as_it_was_signed(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, base: str, method: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OF.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OF.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", str(OF.token))
    api = Api(scripted.url + base, credentials.signature("eu-west-1"))
    api.get("/health?deep=true") if method == "GET" else api.post("/v1/embeddings", {"input": ["ü"]})

    _, path, headers, body = scripted.requests[0]
    names = re.findall(r"SignedHeaders=([^,]+)", headers["authorization"])[0].split(";")
    sent = {name: headers[name] for name in names if name != "host"}
    arrived = AWSRequest(method, f"http://{headers['host']}{path}", sent, body or None)
    arrived.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(OF, "execute-api", "eu-west-1")
    expected = auth.signature(auth.string_to_sign(arrived, auth.canonical_request(arrived)), arrived)
    assert headers["authorization"].endswith(f"Signature={expected}")


@pytest.mark.parametrize(
    ("url", "region", "scope"),
    [
        ("https://abc123.execute-api.eu-west-1.amazonaws.com/prod", None, "eu-west-1/execute-api"),
        ("abc123.EXECUTE-API.eu-west-1.amazonaws.com", None, "eu-west-1/execute-api"),
        ("https://abc.execute-api.cn-north-1.amazonaws.com.cn", None, "cn-north-1/execute-api"),
        ("https://vpce-1.execute-api.eu-west-1.vpce.amazonaws.com", None, "eu-west-1/execute-api"),
        ("https://abc123.lambda-url.ap-south-1.on.aws/", None, "ap-south-1/lambda"),
        ("https://abc123.lambda-url.ap-south-1.on.aws/", "eu-west-3", "eu-west-3/lambda"),
        ("https://clip.example.com/abc.execute-api.eu-west-1.amazonaws.com", None, "us-east-2/execute-api"),
        ("https://clip.example.com", "eu-west-3", "eu-west-3/execute-api"),
    ],
)
def test_the_region_and_the_service_are_those_of_the_address(
    monkeypatch: pytest.MonkeyPatch, url: str, region: str | None, scope: str
) -> None:
    """AWS's documentation: "execute-api" signs for API Gateway, "lambda" for a function URL of the type AWS_IAM."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OF.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OF.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    monkeypatch.delenv("AWS_REGION", raising=False)
    headers = credentials.signature(region, url)("GET", "https://clip.example.com/health", {}, None)
    assert f"/{scope}/aws4_request" in {name.lower(): value for name, value in headers.items()}["authorization"]


def test_the_environments_region_is_the_one_that_awss_own_tools_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS SDKs and Tools Reference Guide, "AWS Region": AWS_REGION; the AWS CLI's guide has it before the other one."""
    for name, value in (("ACCESS_KEY_ID", OF.access_key), ("SECRET_ACCESS_KEY", OF.secret_key)):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    headers = credentials.signature(None)("GET", "https://clip.example.com/health", {}, None)
    assert "/eu-west-3/execute-api/" in {name.lower(): value for name, value in headers.items()}["authorization"]
    assert aws.Aws(None, None).region == "eu-west-3"
    assert aws.Aws("ap-south-1", None).region == "ap-south-1"


def test_an_address_that_says_its_region_needs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OF.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OF.secret_key)
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    assert Client("https://abc123.execute-api.eu-west-1.amazonaws.com", sigv4=True)
    with pytest.raises(ClientError, match="no AWS region"):
        Client("https://clip.example.com", sigv4=True)
