"""With --sigv4, what is signed is what is sent: botocore computes the same signature from the request that arrived."""

import re

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from openclip_lambda import credentials
from openclip_lambda.api import Api

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
