"""The embedding function: the package's code, a role of its own, and one published version of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aws_cdk import (
    Acknowledgment,
    Aws,
    Duration,
    RemovalPolicy,
    Size,
    Validations,
)
from aws_cdk import (
    aws_ecr_assets as ecr_assets,
)
from aws_cdk import (
    aws_iam as iam,
)
from aws_cdk import (
    aws_lambda as lambda_,
)
from aws_cdk import (
    aws_logs as logs,
)
from constructs import Construct

from infra.environment import environment
from infra.nag import acknowledge, objects_of
from infra.network import Network
from infra.package import Package
from infra.settings import StackSettings
from infra.uploads import described

HANDLER = "handler.app.lambda_handler"
HELPERS_PYTHON = "tested on Python 3.13, which AWS maintains; the newest is taken when the tests run on it"
HELPERS = Path(__file__).with_name("functions")
ARCHITECTURES = {"x86_64": lambda_.Architecture.X86_64, "arm64": lambda_.Architecture.ARM_64}
READ = ("s3:GetObject", "s3:GetObjectVersion")
STATEMENT = 5_500  # characters of one: IAM takes 6,144 in a managed policy
PLATFORMS = {"x86_64": ecr_assets.Platform.LINUX_AMD64, "arm64": ecr_assets.Platform.LINUX_ARM64}


def python(version: str) -> lambda_.Runtime:
    """Lambda's runtime for a Python, as "3.13"."""
    return lambda_.Runtime(f"python{version}", lambda_.RuntimeFamily.PYTHON, supports_snap_start=True)


def log_only_role(scope: Construct, construct_id: str, log_group: logs.ILogGroup) -> iam.Role:
    """Make a role that a function may take and that writes to one log group; AWS's managed policy names all of them."""
    role = iam.Role(scope, construct_id, assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    log_group.grant_write(role)
    return role


def source(name: str) -> dict[str, Any]:
    """Code of one of the deployment's own small functions: on Lambda's Python as it is, no part of the bundle."""
    code = lambda_.Code.from_asset(str(HELPERS / name), exclude=["__pycache__"])  # which tests leave there
    return {"code": code, "handler": "index.handler", "runtime": lambda_.Runtime.PYTHON_3_13}


class EmbeddingFunction(Construct):
    """The function, its role and the version that this deployment publishes."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        package: Package,
        settings: StackSettings,
        log_group: logs.ILogGroup,
        role: iam.Role,
        network: Network | None,
    ) -> None:
        super().__init__(scope, construct_id)
        may_read_buckets(role, settings.allowed_buckets)
        self.layers = _layers(self, package)  # none for an image
        self.function = lambda_.Function(
            self,
            "Function",
            **code_of(package, self.layers),
            description=described(
                self, f"OpenCLIP embeddings, bundle {package.manifest_sha256[:12]}", settings.asset_prefix
            ),
            architecture=ARCHITECTURES[package.architecture],
            memory_size=settings.memory,
            timeout=Duration.seconds(settings.function_timeout),
            ephemeral_storage_size=Size.mebibytes(settings.ephemeral_storage),
            environment=environment(settings),
            role=role,
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,  # platform.report as fields, which the alarms count
            application_log_level_v2=lambda_.ApplicationLogLevel[settings.log_level],
            tracing=lambda_.Tracing.ACTIVE if settings.tracing else None,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if settings.snap_start else None,
            reserved_concurrent_executions=settings.reserved_concurrency,
            vpc=network.vpc if network else None,
            security_groups=[network.security_group] if network else None,
            # A version that nothing points to goes: SnapStart bills for every snapshot that is kept.
            current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.DESTROY),
        )
        leave_untraced(self.function, settings)
        explain_to_nag(self.function, role, settings.allowed_buckets)


def leave_untraced(function: lambda_.Function, settings: StackSettings) -> None:
    """Where the settings turn tracing off, say so: Lambda may keep what a template merely leaves out."""
    if not settings.tracing:
        off = lambda_.CfnFunction.TracingConfigProperty(mode="PassThrough")
        function.node.default_child.tracing_config = off


def may_read_buckets(role: iam.Role, buckets: tuple[str, ...], actions: tuple[str, ...] = READ) -> None:
    """Let a role read the images of buckets, such as those that requests name as s3://."""
    for some in _parted(buckets):
        arns = [f"arn:{Aws.PARTITION}:s3:::{name}/*" for name in some]
        role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=arns))


def _parted(buckets: tuple[str, ...]) -> Iterator[list[str]]:
    """Yield buckets whose ARNs fit into one statement.

    CDK moves whole statements to managed policies where a role's own have no room left (IAM: 10,240 characters in all).
    """
    part: list[str] = []
    room = STATEMENT
    for name in buckets:
        if (size := len(f'"arn:aws-us-gov:s3:::{name}/*",')) > room:
            yield part
            part, room = [], STATEMENT
        part.append(name)
        room -= size
    if part:
        yield part


def code_of(package: Package, layers: list[lambda_.LayerVersion], handler: str = HANDLER) -> dict[str, Any]:
    """Return the package's code for a function, in its shape; `handler` is the entry point."""
    return CODE[package.shape](package, layers, handler)


def _image(package: Package, _: list[lambda_.LayerVersion], handler: str) -> dict[str, Any]:
    # Without it Docker builds for the machine that deploys: a Mac's arm64, with the wheels of x86_64 in it.
    platform = PLATFORMS[package.architecture]
    command = None if handler == HANDLER else [handler]  # the image's own command is the API's
    code = lambda_.Code.from_asset_image(str(package.artifacts["image"]), platform=platform, cmd=command)
    return {"code": code, "handler": lambda_.Handler.FROM_IMAGE, "runtime": lambda_.Runtime.FROM_IMAGE}


def _zip(package: Package, layers: list[lambda_.LayerVersion], handler: str) -> dict[str, Any]:
    return {
        "code": lambda_.Code.from_asset(str(package.artifacts["function"])),
        "handler": handler,
        "runtime": python(package.python),
        "layers": layers,
    }


def _layers(scope: Construct, package: Package) -> list[lambda_.LayerVersion]:
    return [
        lambda_.LayerVersion(
            scope,
            role.capitalize(),
            code=lambda_.Code.from_asset(str(package.artifacts[role])),
            description=f"OpenCLIP {role}, bundle {package.manifest_sha256[:12]}",
            compatible_architectures=[ARCHITECTURES[package.architecture]],
            compatible_runtimes=[python(package.python)],
        )
        for role in ("models", "dependencies")
        if role in package.artifacts
    ]


CODE = {"image": _image, "layer": _zip}  # by package shape


def explain_to_nag(function: lambda_.Function, role: iam.Role, buckets: tuple[str, ...]) -> None:
    """Say why the rules do not hold for a function of the bundle's and its role, which reads `buckets`."""
    acknowledge(role, "IAM5[Resource::*]", "X-Ray and network interfaces have no resource that a policy could name")
    for name in sorted(set(buckets)):
        acknowledge(role, objects_of(name), "reading any image of this bucket is what the setting grants")
    acknowledge(function, "L1", "the bundle's wheels are built for the Python that its manifest names")
    annotation = Acknowledgment(
        id="Annotation::@aws-cdk/aws-lambda:snapStartRequirePublish",
        reason="a version is published with every deployment, and the alias that the API calls points to it",
    )
    Validations.of(function).acknowledge(annotation)
