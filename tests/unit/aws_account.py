"""An AWS account that answers in various ways, at a port of this machine."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from console.setup import aws

IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>arn:aws:iam::123456789012:user/ann</Arn><UserId>A</UserId><Account>123456789012</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
NO_STACK = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>"
    "<Message>Stack with id {} does not exist</Message></Error></ErrorResponse>"
)
STACK = (
    "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>{}</StackName>"
    "<CreationTime>2026-11-30T00:00:00Z</CreationTime><StackStatus>{}</StackStatus>{}</member></Stacks>"
    "</DescribeStacksResult></DescribeStacksResponse>"
)
SUMMARY = (
    "<GetTemplateSummaryResponse><GetTemplateSummaryResult><Description>{}</Description></GetTemplateSummaryResult>"
    "</GetTemplateSummaryResponse>"
)
DESCRIBED = (
    "<DescribeTypeResponse><DescribeTypeResult><Type>RESOURCE</Type></DescribeTypeResult></DescribeTypeResponse>"
)
EXPIRED = "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>ended</Message></Error></ErrorResponse>"


class Account(ThreadingHTTPServer):
    """The three services as an account answers, in the wire formats that AWS documents."""

    daemon_threads = True
    concurrency, used, bootstrapped, expired = 1000, 0, True, False
    refused: tuple[str, ...] = ()
    has_vectors = True
    stacks: Mapping[str, tuple[str, str]] = {}  # status and description by name

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers = threading.Event()
        self.answers.set()
        self.answered: list[str] = []

    def reply(self, path: str, target: str, sent: str = "") -> tuple[int, str]:
        self.answers.wait(120)
        self.answered.append(path)
        if path.endswith("/account-settings") or path.endswith("/account-settings/"):
            if "lambda" in self.refused:
                return 403, json.dumps({"Code": "AccessDeniedException", "Message": "no"})
            limit = {"TotalCodeSize": 80_530_636_800, "ConcurrentExecutions": self.concurrency}
            return 200, json.dumps({"AccountLimit": limit, "AccountUsage": {"TotalCodeSize": self.used}})
        if "Action=DescribeType" in sent:
            assert "TypeName=AWS%3A%3AS3Vectors%3A%3AVectorBucket" in sent
            if "cloudformation" in self.refused:
                return 403, EXPIRED.replace("ExpiredToken", "AccessDenied")
            return (
                (200, DESCRIBED)
                if self.has_vectors
                else (404, EXPIRED.replace("ExpiredToken", "TypeNotFoundException"))
            )
        if "Action=DescribeStacks" in sent:
            if "cloudformation" in self.refused:
                return 403, EXPIRED.replace("ExpiredToken", "AccessDenied")
            [name] = parse_qs(sent)["StackName"]
            if name not in self.stacks:
                return 400, NO_STACK.format(name)
            status, told = self.stacks[name]
            return 200, STACK.format(name, status, f"<Description>{told}</Description>" if told else "")
        if "Action=GetTemplateSummary" in sent:
            if "summary" in self.refused:
                return 403, EXPIRED.replace("ExpiredToken", "AccessDenied")
            return 200, SUMMARY.format(self.stacks[parse_qs(sent)["StackName"][0]][1])
        if target.endswith("GetParameter"):
            if self.bootstrapped:
                return 200, json.dumps({"Parameter": {"Name": aws.BOOTSTRAP, "Value": "21"}})
            return 400, json.dumps({"__type": "ParameterNotFound"})
        return (403, EXPIRED) if self.expired else (200, IDENTITY)


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        server: Any = self.server
        status, body = server.reply(self.path, self.headers.get("x-amz-target", ""), sent)
        self.send_response(status)
        if status == 403 and body.startswith("{"):
            self.send_header("x-amzn-errortype", "AccessDeniedException")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    server = Account()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(aws, "SECONDS", 30)  # of a machine that has other work
    yield server
    server.shutdown()
    server.server_close()
