"""One stack in the emulated account: deployed as people do it, called over HTTP through API Gateway."""

import json
import secrets
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.aws import ACCOUNT, REGION, Aws
from tests.e2e.builds import told_apart
from tests.e2e.engine import docker
from tests.e2e.stand_in import base_image


@dataclass(frozen=True)
class Reply:
    """What an HTTP request was answered."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass
class Deployment:
    """A stack by its name. `outputs` are those of the last deployment that succeeded."""

    aws: Aws
    name: str
    shape: str
    scratch: Path
    outputs: dict[str, str] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    count: int = 0

    def deploy(self, build: Path, succeeds: bool = True, **context: str) -> str:
        """Synthesize and deploy a build; returns what the CDK CLI said."""
        self.count += 1
        out, results = self.scratch / f"cdk.out-{self.count}", self.scratch / f"outputs-{self.count}.json"
        settings = {"stack_name": self.name, "build_dir": str(told_apart(build)), **context}
        synthesize(settings, out)
        self.push(out)
        ends = ("--require-approval", "never", "--outputs-file", str(results))
        run = self.aws.cdk("deploy", "--app", str(out), *ends, check=succeeds)
        assert (run.returncode == 0) == succeeds, run.stdout + run.stderr
        if succeeds:
            self.outputs = json.loads(results.read_text())[self.name]
            self.name_the_secret()
        return run.stdout + run.stderr

    def destroy(self) -> None:
        """Run `cdk destroy`, and remove the images that were made for the stack."""
        self.aws.cdk("destroy", "--app", str(self.scratch / f"cdk.out-{self.count}"), "--force")
        while self.images:
            docker("rmi", "--force", "--no-prune", self.images.pop())

    def key(self) -> str:
        """The API key, read where the stack's output says that it is."""
        store = self.aws.client("secretsmanager")
        return str(store.get_secret_value(SecretId=self.outputs["ApiKeySecretArn"])["SecretString"])

    def bearer(self) -> dict[str, str]:
        """The header that carries the API key."""
        return {"authorization": f"Bearer {self.key()}"}

    def call(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        """Send a request to the deployed API: GET, or POST of JSON, or of bytes as they are."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        # Names under localhost are not resolved everywhere, so the address is plain and the name a header.
        host = self.outputs["Url"].removeprefix("http://").partition(":")[0]
        sent = {"content-type": "application/json", **(headers or {}), "host": host}
        request = urllib.request.Request(f"http://127.0.0.1:{self.aws.port}{path}", data, sent)
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return Reply(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.read())

    def warm(self) -> None:
        """Ask until the authorizer runs: a busy machine may not start it in the 10 s that a gateway waits."""
        for _ in range(30):
            if (reply := self.call("/v1/models", headers=self.bearer())).status != 500:
                break
        assert reply.status == 200, reply.body

    def live(self) -> dict[str, Any]:
        """Ask the function behind the alias for its health. (The emulator keeps the path /health for itself.)"""
        question = {
            "version": "2.0",
            "rawPath": "/health",
            "requestContext": {"http": {"method": "GET", "path": "/health"}, "stage": "$default"},
        }
        report: dict[str, Any] = json.loads(self.invoke(question)["body"])
        return report

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Invoke the function behind the alias with an event, and return what it answers."""
        answer = self.aws.client("lambda").invoke(
            FunctionName=self.outputs["FunctionName"], Qualifier="live", Payload=json.dumps(event)
        )
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        return found

    def log_lines(self) -> list[str]:
        """Return every line of every log of the account."""
        client = self.aws.client("logs")
        groups = [group["logGroupName"] for group in client.describe_log_groups()["logGroups"]]
        events = [client.get_paginator("filter_log_events").paginate(logGroupName=name) for name in groups]
        return [event["message"] for pages in events for page in pages for event in page["events"]]

    def invocations(self) -> int:
        """Count how often the function ran, by the START lines in its log group."""
        client, total = self.aws.client("logs"), 0
        configuration = self.aws.client("lambda").get_function_configuration(FunctionName=self.outputs["FunctionName"])
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=configuration["LoggingConfig"]["LogGroup"]
        )
        for page in pages:
            total += sum(event["message"].startswith("START RequestId") for event in page["events"])
        return total

    def hold_to_reserved_concurrency(self) -> None:
        """Let the function run no more often at once than the template that was deployed reserves for it.

        The emulator's CloudFormation overlooks the setting. Its Lambda holds to it, but for the function itself and for
        none of its versions: so the API is turned from the alias to the function, which is the same code.
        """
        resources = json.loads((self.scratch / f"cdk.out-{self.count}" / f"{self.name}.template.json").read_text())
        reserved = [
            item["Properties"].get("ReservedConcurrentExecutions")
            for item in resources["Resources"].values()
            if item["Type"] == "AWS::Lambda::Function"
        ]
        (places,) = filter(None, reserved)
        function, client, api = self.outputs["FunctionName"], self.aws.client("lambda"), self.aws.client("apigatewayv2")
        client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=places)
        client.add_permission(
            FunctionName=function,
            StatementId="load",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
        )
        arn = client.get_function_configuration(FunctionName=function)["FunctionArn"]
        gateway = self.outputs["Url"].removeprefix("http://").partition(".")[0]
        (integration,) = api.get_integrations(ApiId=gateway)["Items"]
        api.update_integration(ApiId=gateway, IntegrationId=integration["IntegrationId"], IntegrationUri=arn)

    def destroyed(self) -> bool:
        """Tell whether the account has no such stack, or none any more."""
        stacks = self.aws.client("cloudformation").describe_stacks()["Stacks"]
        return self.name not in [item["StackName"] for item in stacks if item["StackStatus"] != "DELETE_COMPLETE"]

    def push(self, out: Path) -> None:
        """Build the images of an assembly, which are removed with the stack."""
        self.images += build_images(out, self.name)

    def name_the_secret(self) -> None:
        """Put the secret's ARN where the template's `Ref` stands for it: the emulator's Ref is only a name."""
        if "ApiKeySecretArn" not in self.outputs:
            return
        name = self.outputs["ApiKeySecretArn"]
        store = self.aws.client("secretsmanager")
        arn = store.describe_secret(SecretId=name)["ARN"]
        if not store.get_secret_value(SecretId=name)["SecretString"].isalnum():
            # As AWS generates it: the emulator overlooks ExcludePunctuation, and such a key is no part of a path.
            store.put_secret_value(SecretId=name, SecretString=secrets.token_hex(24))
        iam = self.aws.client("iam")
        for role in iam.list_roles()["Roles"]:
            for policy in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
                document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=policy)["PolicyDocument"]
                text = json.dumps(document)
                if f'"{name}"' in text:
                    fixed = text.replace(f'"{name}"', f'"{arn}"')
                    iam.put_role_policy(RoleName=role["RoleName"], PolicyName=policy, PolicyDocument=fixed)


def resolve_localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every name under localhost be this machine, which browsers and curl do and the C library does not."""
    ask = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        return ask("127.0.0.1" if str(host).endswith(".localhost") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def synthesize(settings: dict[str, str], out: Path) -> None:
    """Do what `cdk synth` does (tests/infra shows that it does), in this process: its start is most of its time."""
    from aws_cdk import App

    from infra.assembly import assemble

    app = App(context=settings, outdir=str(out))
    stack = assemble(app)
    app.synth()
    adapt(out / f"{stack.stack_name}.template.json")


def adapt(path: Path) -> None:
    """Take out the alarm on a quotient of metrics, since the emulator's CloudFormation refuses a stack with one.

    LanceDB is told to speak plain HTTP, which is what the emulator serves.
    """
    template = json.loads(path.read_text())
    for item in template["Resources"].values():
        variables = item.get("Properties", {}).get("Environment", {}).get("Variables", {})
        if "OPENCLIP_INDEX" in variables:
            variables["AWS_ALLOW_HTTP"] = "true"
    template["Resources"] = {
        name: item for name, item in template["Resources"].items() if "Metrics" not in item.get("Properties", {})
    }
    path.write_text(json.dumps(template))


def build_images(out: Path, name: str) -> list[str]:
    """Build the image assets under their names in ECR: the emulator reports any image as there already."""
    made = []
    for asset in json.loads((out / f"{name}.assets.json").read_text())["dockerImages"].values():
        (target,) = asset["destinations"].values()
        repository = target["repositoryName"].replace("${AWS::AccountId}", ACCOUNT).replace("${AWS::Region}", REGION)
        made.append(f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}:{target['imageTag']}")
        base = ("--build-arg", f"BASE={base_image('3.13')}")
        context = str(out / asset["source"]["directory"])
        docker("build", "--quiet", "--network", "none", *base, "-t", made[-1], context)
    return made
