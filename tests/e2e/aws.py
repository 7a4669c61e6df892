"""An AWS account on this machine: the emulator, its containers, and the CDK CLI turned to it."""

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.engine import EngineError, docker
from tests.local.emulator import free_port
from tests.patience import SECONDS

ROOT = Path(__file__).parents[2]
EMULATOR = ROOT / "build" / "emulator" / "bin" / "ministack"
REGION, ACCOUNT = "eu-west-1", "000000000000"
RUNTIME = "public.ecr.aws/lambda/python:3.13"  # the image in which the emulator runs zip functions
DEADLINE = 600  # seconds of any one CDK command: a custom resource that never answers would hold it for an hour


@dataclass(frozen=True)
class Aws:
    """Where the emulator answers, the environment that turns clients to it, and its log: a line for each request."""

    port: int
    environ: dict[str, str]
    log: Path = Path(os.devnull)

    def client(self, service: str) -> Any:
        """Return a boto3 client as the account's root."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def cdk(self, *arguments: str, check: bool = True, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
        """Run the pinned CDK CLI. Raises AssertionError with what it said, unless a failure is what is looked for."""
        command = [str(ROOT / "node_modules" / ".bin" / "cdk"), *arguments]
        run = subprocess.run(
            command, cwd=cwd, env=self.environ, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert not check or run.returncode == 0, f"cdk {' '.join(arguments)}\n{run.stdout}\n{run.stderr}"
        return run


@contextmanager
def running(base: str, log: Path, certificates: Path) -> Iterator[Aws]:
    """Hold an emulator that checks signatures and policies; `base` is what zip functions run in.

    `certificates` (PEM) are those that the emulator trusts when it asks a JWT's issuer for its keys.
    """
    port = free_port()
    environ = {**{name: value for name, value in os.environ.items() if not name.startswith("AWS_")}, **_variables(port)}
    command = [str(EMULATOR)]
    if not EMULATOR.exists():
        raise EngineError(f"{EMULATOR} is missing: run `make build/emulator/.installed`")
    server = {
        **environ,
        "AUTH": "true",  # signatures and policies count
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "docker",
        "LAMBDA_WARM_TTL_SECONDS": "1200",  # what has started stays while the next test builds before it asks
        "LOG_LEVEL": "DEBUG",  # which names each request
        "MINISTACK_APIGW_JWKS_TIMEOUT_SECONDS": "60",  # the issuer is a thread of the tests' process
        "MINISTACK_REGION": REGION,
        "SSL_CERT_FILE": str(certificates),
    }
    with tagged(base, RUNTIME), log.open("wb") as output:
        process = subprocess.Popen(command, env=server, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            _wait_for(port, process, log)
            yield Aws(port, environ, log)
        finally:
            process.terminate()
            process.wait(SECONDS)
            for container in docker("ps", "-aq", "--filter", f"label=ministack.instance={_instance(port)}").split():
                docker("rm", "--force", container)


def bootstrap(aws: Aws) -> None:
    """Run `cdk bootstrap`, and fix what the emulator makes of it."""
    with tempfile.TemporaryDirectory() as nowhere:  # where no cdk.json names an app, which would have to synthesize
        aws.cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", cwd=Path(nowhere))
    repair(aws)


def repair(aws: Aws) -> None:
    """Fix what the emulator makes of a bootstrap.

    It serves http, which the staging bucket's policy refuses, and does not find the publishing roles' own policies.
    These are CDK's resources; none of this project's is touched.
    """
    aws.client("s3").delete_bucket_policy(Bucket=f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam = aws.client("iam")
    for role in iam.list_roles()["Roles"]:
        iam.put_role_policy(RoleName=role["RoleName"], PolicyName="emulator", PolicyDocument=policy)


def _variables(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@functools.cache
def _hostname() -> str:
    return os.uname().nodename


def _instance(port: int) -> str:
    """Name this emulator as the labels of its containers do."""
    return f"{_hostname()}:{port}"


@contextmanager
def tagged(image: str, name: str) -> Iterator[None]:
    """Give an image a second name for a while; one that has the name already keeps it."""
    if docker("image", "ls", "--quiet", name).strip():
        yield
        return
    docker("tag", image, name)
    try:
        yield
    finally:
        docker("rmi", "--no-prune", name)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=2).close()
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    raise EngineError(f"the emulator did not start, see {log}:\n{log.read_text(errors='replace')[-2000:]}")
