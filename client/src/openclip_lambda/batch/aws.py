"""AWS by boto3: the clients, the parts of a deployment, and the messages for its errors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from openclip_lambda.credentials import sign_in
from openclip_lambda.errors import ClientError
from openclip_lambda.extras import install_command

STACK = "OPENCLIP_STACK"
OUTPUT_MACHINE, OUTPUT_BUCKET, OUTPUT_SOURCE, OUTPUT_WORKER, OUTPUT_FORMATS = (
    "BatchMachine",
    "BatchBucket",
    "BatchSource",
    "BatchWorker",
    "BatchImageFormats",
)
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AllAccessDisabled", "403", "Forbidden")
SIGN_IN = (
    *("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"),
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestExpired", "AuthFailure"),
)
BUSY = ("Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown", "RequestLimitExceeded")


class Deployment(NamedTuple):
    """The parts of a deployment's batch: `source` is `bucket/prefix`; it and `worker` are empty if not known.

    `image_formats` are those that its package decodes besides what every package does.
    """

    machine: str
    bucket: str
    source: str = ""
    worker: str = ""
    image_formats: tuple[str, ...] = ()


class Aws:
    """Makes clients for a region and a profile, or for those of the environment."""

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise ClientError(
                "a batch on AWS needs boto3, which is this client's extra `batch`: "
                f"pip install 'openclip-lambda[batch]', or {install_command('boto3')}"
            ) from error
        retries: Any = {"mode": "standard", "max_attempts": 6}
        self._config = Config(retries=retries, connect_timeout=10, read_timeout=60, max_pool_connections=16)
        with asking("AWS"):
            # As the AWS CLI and the CDK CLI: boto3 itself does not read the variable.
            where = region or os.environ.get("AWS_REGION") or None
            self._session = boto3.Session(region_name=where, profile_name=profile)

    @property
    def region(self) -> str:
        """The region of the clients; empty if none is given."""
        return self._session.region_name or ""

    def client(self, service: str, seconds: int = 60) -> Any:
        """Return the client of a service. A request that may take over a minute (`seconds`) is not sent a second time.

        Raises ClientError where credentials or the region are missing.
        """
        config = self._config
        if seconds > config.read_timeout:
            config = config.merge(type(config)(read_timeout=seconds, retries={"total_max_attempts": 1}))
        with asking("AWS"):
            made: Any = self._session.client(service, config=config)
        return made

    def outputs(self, stack: str) -> dict[str, str]:
        """Read a stack's outputs. Raises ClientError where it is not there."""
        with asking(f"the stack {stack}"):
            found = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", ())}

    def deployment(self, stack: str) -> Deployment:
        """Return the parts of a stack's batch. Raises ClientError if there is no such stack, or it has no batch."""
        outputs = self.outputs(stack)
        if OUTPUT_MACHINE not in outputs or OUTPUT_BUCKET not in outputs:
            raise ClientError(
                f"the stack {stack} embeds no bucket: deploy it with `-c batch_source=<bucket>/<prefix>`, or name "
                "another stack by --stack"
            )
        return Deployment(
            outputs[OUTPUT_MACHINE],
            outputs[OUTPUT_BUCKET],
            outputs.get(OUTPUT_SOURCE, ""),
            outputs.get(OUTPUT_WORKER, ""),
            tuple(filter(None, outputs.get(OUTPUT_FORMATS, "").split(","))),
        )


def split(source: str) -> tuple[str, str]:
    """Return the bucket and the prefix of `s3://bucket/prefix`. Raises ClientError for what has no bucket."""
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    if not source.startswith("s3://") or not bucket or any(letter.isspace() for letter in bucket):
        raise ClientError(f"{source} is no place in S3: give s3://bucket or s3://bucket/prefix/")
    return bucket, prefix


def default_stack() -> str | None:
    """Return the stack that the environment names."""
    return os.environ.get(STACK) or None


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn what AWS or its library refuses into a ClientError that says what to do about it."""
    from botocore.exceptions import BotoCoreError
    from botocore.exceptions import ClientError as Refused

    try:
        yield
    except Refused as error:
        raise ClientError(f"{what}: {_fix(error)}") from error
    except BotoCoreError as error:
        raise ClientError(f"{what}: {_trouble(error)}") from error


def code_of(error: Any) -> str:
    """Return the code of a refusal."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _fix(error: Any) -> str:
    code, operation = code_of(error), error.operation_name
    told = str(error.response.get("Error", {}).get("Message", "")).strip() or "no reason is given"
    if code in DENIED:
        return f"these credentials may not call {operation} ({told}): use others, by --profile or AWS_PROFILE"
    if code in SIGN_IN:
        return f"the AWS credentials are not accepted ({code}): sign in again, or look at AWS_PROFILE and ~/.aws"
    if code in BUSY:
        return f"AWS is busy ({code}): run the command again in a minute"
    if code == "ValidationError" and "does not exist" in told:
        return "it is not there: look at --stack, --region and --profile (`aws cloudformation list-stacks` names them)"
    if code in ("NoSuchBucket", "404"):
        return "there is no such bucket or object: check its name"
    if code == "PermanentRedirect":
        return "the bucket is in another region: give that by --region"
    return f"AWS refused {operation} with {code}: {told}"


def _trouble(error: Exception) -> str:
    if told := sign_in(error):
        return told
    kind = type(error).__name__
    if kind in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return "no AWS credentials found: run `aws configure`, or set AWS_ACCESS_KEY_ID and its secret"
    if kind == "NoRegionError":
        return "no AWS region: give --region, or set AWS_REGION"
    if kind == "ProfileNotFound":
        return f"{error}: `aws configure list-profiles` names those there are"
    return f"{error} ({kind}): check the network, AWS_PROFILE and ~/.aws, then run the command again"
