"""What happens to a deployed stack: a new bundle, a broken one, other credentials, the end. In this order."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric import rsa
from openclip_lambda.cli import main as cli

from tests.bounds import MIN_COSINE
from tests.e2e import builds, own_code, traffic
from tests.e2e.aws import REGION, ROOT, Aws
from tests.e2e.builds import Builds, manifest_sha256
from tests.e2e.deployment import Deployment, resolve_localhost
from tests.e2e.issuer import Issuer
from tests.local.test_emulator import decoded, golden, vectors

QUESTION = {"input": "a red circle"}
AUDIENCE = "embeddings"
LAST = {"image": "fp32", "layer": builds.FULL_SIZE}
PLACES = 4  # of reserved concurrency
CLIENTS = 50
# What each client may try again, every 8 s at most: enough for a slow machine, too. openai's own default is 2, which is
# for a service that is never this short of places; the report says how many were needed.
RETRIES = 50
LOAD_SECONDS = float(os.environ.get("LOAD_SECONDS", "6"))


def version(stack: Deployment) -> str:
    """The version that the alias points to."""
    client = stack.aws.client("lambda")
    return str(client.get_alias(FunctionName=stack.outputs["FunctionName"], Name="live")["FunctionVersion"])


def refusal(stack: Deployment) -> str:
    """What CloudFormation says of the health gate that failed last."""
    events = stack.aws.client("cloudformation").describe_stack_events(StackName=stack.name)["StackEvents"]
    reasons = [
        event["ResourceStatusReason"]
        for event in events
        if event["ResourceType"] == "Custom::HealthGate" and event["ResourceStatus"].endswith("_FAILED")
    ]
    assert reasons, [event.get("ResourceStatusReason") for event in events]
    return str(reasons[0])


def test_a_new_bundle_goes_live_and_no_request_fails_meanwhile(stack: Deployment, build: Builds) -> None:
    headers, before, new = stack.bearer(), version(stack), build(stack.shape, "fp32")

    with traffic.under_way(lambda: stack.call("/v1/embeddings", QUESTION, headers)) as replies:
        stack.deploy(new)

    assert Counter(reply.status for reply in replies) == {200: len(replies)}
    assert len({reply.body for reply in replies}) == 2  # of 8-bit weights, then of fp32
    assert version(stack) != before
    assert stack.live()["manifest_sha256"] == manifest_sha256(build(stack.shape, "fp32"))


def test_a_broken_bundle_never_goes_live_and_the_old_version_serves_on(
    stack: Deployment, build: Builds, tmp_path: Path
) -> None:
    headers, before, served = stack.bearer(), version(stack), stack.live()["manifest_sha256"]
    damaged = builds.broken(build(stack.shape, "int8"), tmp_path / "damaged")

    with traffic.under_way(lambda: stack.call("/v1/embeddings", QUESTION, headers)) as replies:
        stack.deploy(damaged, succeeds=False)

    assert "this is not the bundle as it was built" in refusal(stack)
    assert {(reply.status, reply.body) for reply in replies} == {(200, replies[0].body)}
    assert (version(stack), stack.live()["manifest_sha256"]) == (before, served)
    (described,) = stack.aws.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"]
    assert described["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_with_iam_a_signature_of_somebody_who_may_is_needed(
    stack: Deployment, build: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.deploy(build(stack.shape, "fp32"), auth="iam")
    iam = stack.aws.client("iam")
    allowed, stranger = (user(iam, f"{name}-{stack.shape}") for name in ("allowed", "stranger"))
    permit = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}]}'
    iam.put_user_policy(UserName=f"allowed-{stack.shape}", PolicyName="call", PolicyDocument=permit)

    assert stack.call("/v1/embeddings", QUESTION, signed(stack, allowed)).status == 200
    resolve_localhost(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", allowed.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", allowed.secret_key)
    assert cli.main(["embed", "--text", "a", "--sigv4", "--region", REGION, "--url", stack.outputs["Url"]]) == 0
    before = stack.invocations()
    forged = Credentials(allowed.access_key, "another" + allowed.secret_key)
    refused = {
        "nobody": {},
        "a stranger": signed(stack, stranger),
        "a wrong secret": signed(stack, forged),
        "another body": signed(stack, allowed, b'{"input": "a blue circle"}'),
    }
    assert {why: stack.call("/v1/embeddings", QUESTION, headers).status for why, headers in refused.items()} == (
        dict.fromkeys(refused, 403)
    )
    assert stack.invocations() == before


@pytest.fixture(scope="module")
def issued(stack: Deployment, build: Builds, tokens: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """Deploy the stack for tokens of an issuer, which is returned; the image with code of a user's own."""
    made = build(stack.shape, "fp32")
    if stack.shape == "image":
        made = own_code.packaged(made, tmp_path_factory.mktemp("project"))
    stack.deploy(made, auth="jwt", jwt_issuer=tokens.url, jwt_audience=AUDIENCE)
    return tokens


def test_with_jwt_a_token_of_the_issuer_for_the_audience_is_needed(stack: Deployment, issued: Issuer) -> None:
    tokens = issued
    good = tokens.token(aud=AUDIENCE)
    head, claims, signature = good.split(".")
    refused = {
        "nobody": None,
        "expired": tokens.token(aud=AUDIENCE, iat=1, exp=2),
        "not yet": tokens.token(aud=AUDIENCE, nbf=4102444800),
        "another audience": tokens.token(aud="somewhere"),
        "another issuer": tokens.token(aud=AUDIENCE, iss="https://issuer.example"),
        "another key": tokens.token(rsa.generate_private_key(public_exponent=65537, key_size=2048), aud=AUDIENCE),
        "tampered": f"{head}.{tokens.token(aud=AUDIENCE, sub='root').split('.')[1]}.{signature}",
        "no signature": f"{head}.{claims}.",
    }

    assert stack.call("/v1/embeddings", QUESTION, {"authorization": f"Bearer {good}"}).status == 200
    before = stack.invocations()
    assert {why: stack.call("/v1/embeddings", QUESTION, bearer(token)).status for why, token in refused.items()} == (
        dict.fromkeys(refused, 401)
    )
    assert stack.invocations() == before


@pytest.mark.parametrize("stack", ["image"], indirect=True)  # tests/local has the zip
def test_code_of_a_user_s_own_answers_refuses_preprocesses_and_measures(stack: Deployment, issued: Issuer) -> None:
    own_code.check(stack, lambda name: bearer(issued.token(aud=AUDIENCE, sub=name)))


@pytest.fixture(scope="module")
def opened(stack: Deployment, build: Builds) -> Path:
    """Deploy the stack for anybody, with few places; layers with a model of full size. Returns what was deployed."""
    last = build(stack.shape, LAST[stack.shape])
    stack.deploy(last, auth="none", reserved_concurrency=str(PLACES))
    return last


def test_with_none_anybody_may_call_and_a_model_of_full_size_fits_layers(stack: Deployment, opened: Path) -> None:
    expected = golden(opened / "bundle")
    images = [{"image": image} for image in expected["images"]]

    reply = stack.call("/v1/embeddings", {"input": [*expected["texts"], *images]})

    assert reply.status == 200, reply.body
    wanted = decoded(expected["text_embeddings"] + expected["image_embeddings"])
    assert (vectors(reply.json()) * wanted).sum(axis=1).min() > MIN_COSINE["int8"]
    assert stack.live()["manifest_sha256"] == manifest_sha256(opened)


@pytest.mark.parametrize("stack", ["image"], indirect=True)  # the shape makes no difference, and it takes its time
def test_fifty_clients_on_four_places_are_throttled_and_every_request_comes_home(
    stack: Deployment, opened: Path
) -> None:
    stack.hold_to_reserved_concurrency()

    report = fifty_clients(stack)

    print(json.dumps(report))
    assert report["requests"] >= CLIENTS
    assert (report["failures"], report["wrong"]) == ({}, {})
    # The emulated gateway answers a throttled call with 429, so nothing may be a 5xx. AWS may make it a 500 or 503,
    # which the client tries again likewise.
    assert set(report["statuses"]) == {"200", "429"}


def fifty_clients(stack: Deployment) -> Any:
    """Run load.py where the openai package is; returns its report."""
    host = stack.outputs["Url"].removeprefix("http://").partition(":")[0]
    url = f"http://127.0.0.1:{stack.aws.port}"
    asked = {"url": url, "host": host, "clients": CLIENTS, "seconds": LOAD_SECONDS, "retries": RETRIES}
    run = subprocess.run(
        [str(ROOT / "build" / "clients" / "bin" / "python"), "-m", "tests.clients.load", json.dumps(asked)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_destroying_the_stack_leaves_nothing_behind(stack: Deployment) -> None:
    assert left(stack.aws, stack.name) != []

    stack.destroy()

    assert left(stack.aws, stack.name) == []


def left(aws: Aws, stack: str) -> list[str]:
    """Name what of a stack the account holds: stack, functions, layers, APIs, secrets, roles, logs, alarms, boards."""
    cloudwatch = aws.client("cloudwatch")
    stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
    found = [
        *(item["StackName"] for item in stacks if item["StackStatus"] != "DELETE_COMPLETE"),
        *(item["FunctionName"] for item in aws.client("lambda").list_functions()["Functions"]),
        *(item["LayerName"] for item in aws.client("lambda").list_layers()["Layers"]),
        *(item["Name"] for item in aws.client("apigatewayv2").get_apis()["Items"]),
        *(item["Name"] for item in aws.client("secretsmanager").list_secrets()["SecretList"]),
        *(item["RoleName"] for item in aws.client("iam").list_roles()["Roles"]),
        *(item["logGroupName"] for item in aws.client("logs").describe_log_groups()["logGroups"]),
        *(item["AlarmName"] for item in cloudwatch.describe_alarms()["MetricAlarms"]),
        *(item["DashboardName"] for item in cloudwatch.list_dashboards()["DashboardEntries"]),
    ]
    return [name for name in found if stack in name]


def user(iam: Any, name: str) -> Credentials:
    """Make an IAM user with an access key."""
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def signed(
    stack: Deployment,
    credentials: Credentials,
    body: bytes = b'{"input": "a red circle"}',
    service: str = "execute-api",
) -> dict[str, str]:
    """Sign the question as botocore does, or a body that is not the one that will be sent."""
    url = f"{stack.outputs['Url']}/v1/embeddings"
    host = stack.outputs["Url"].removeprefix("http://").partition(":")[0]
    request = AWSRequest("POST", url, {"content-type": "application/json", "host": host}, body)
    SigV4Auth(credentials, "execute-api", REGION).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"authorization": f"Bearer {token}"}
