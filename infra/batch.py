"""A whole bucket: a state machine that embeds all of it, and a queue for what changes in it afterwards."""

from collections.abc import Sequence

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.arrivals import Arrivals
from infra.batch_build import LIMIT, Build, explain
from infra.batch_machine import BatchMachine
from infra.compaction import Compaction
from infra.errors import PackageError
from infra.function import HELPERS_PYTHON, log_only_role, source
from infra.nag import acknowledge, objects_of
from infra.package import Package
from infra.settings import StackSettings
from infra.source_prefix import in_policy

EXTRA = "batch"  # of the package: see layer/package/pipeline.py
PARTS = "parts/"  # of shards that are under way: handler/batch/parts.py
RUNS = "runs/"  # plans, by the planner
# What the worker writes (handler/batch/shard.py). It decodes what strangers put into a bucket: the rest of the output,
# such as plans and the search's index, and what else lies in a bucket of the user's own, is none of its business.
WRITTEN = ("vectors/", "errors/", "deletions/", PARTS, f"{RUNS}*/settings-")


class Batch(Construct):
    """The output bucket, the worker, the planner, the state machine and the queue of arrivals."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        package: Package,
        layers: list[lambda_.LayerVersion],
        settings: StackSettings,
        log_group: logs.ILogGroup,
        helpers_log: logs.ILogGroup,
        runs_log: logs.ILogGroup,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        _check(package)
        self.output = _output(self, settings)
        build = Build(package, layers, settings, log_group, self.output)
        self.worker = self._worker(build)
        self.planner = self._planner(settings, helpers_log, package.image_formats)
        self.machine = BatchMachine(
            self,
            "Machine",
            planner=self.planner,
            worker=self.worker,
            output=self.output,
            settings=settings,
            log_group=runs_log,
            vectors_id=package.vectors_id,
        )
        self.arrivals = Arrivals(self, "Arrivals", settings=settings, key=key, worker=self.worker, worker_timeout=LIMIT)
        self.compaction = Compaction(self, "Compaction", build=build)
        self._tell(scope, settings, package.image_formats)

    def change_after(self, *live: lambda_.IAlias) -> None:
        """Let another bundle embed what arrives only when the version of it that serves has passed its health check.

        What it had embedded before a deployment was rolled back would not be found: the bundle that serves on searches
        its own vectors. And a run that is under way would have lost shards to a bundle that it did not begin with.
        """
        for one in (self.planner, self.worker, self.compaction.function, self.machine):
            one.node.add_dependency(*live)

    def _tell(self, scope: Construct, settings: StackSettings, image_formats: Sequence[str]) -> None:
        """Make the outputs that the client's commands read."""
        outputs = {
            "BatchMachine": self.machine.arn,
            "BatchBucket": self.output.bucket_name,
            "BatchQueue": self.arrivals.queue.queue_url,
            "BatchPoison": self.arrivals.poison.queue_url,
            "BatchSource": settings.batch_source,
            "BatchWorker": self.worker.function_name,
        }
        if image_formats:
            outputs["BatchImageFormats"] = ",".join(image_formats)
        for name, value in outputs.items():
            CfnOutput(scope, name, value=value)

    def _worker(self, build: Build) -> lambda_.Function:
        settings = build.settings
        role = log_only_role(self, "WorkerRole", build.log_group)
        _may_read(role, settings)
        written, plans, parts = (self._objects(*prefixes) for prefixes in (WRITTEN, (RUNS,), (PARTS,)))
        role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject", "s3:PutObject"], resources=written))
        role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=plans))
        # The asterisk of a run stands for slashes, too.
        planned = self._objects(f"{RUNS}*/plan/")
        role.add_to_policy(iam.PolicyStatement(effect=iam.Effect.DENY, actions=["s3:PutObject"], resources=planned))
        role.add_to_policy(iam.PolicyStatement(actions=["s3:DeleteObject"], resources=parts))
        # Without it S3 answers "forbidden" where an object is missing, which is how a shard that is not done looks.
        role.add_to_policy(iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self.output.bucket_arn]))
        variables = {
            "OPENCLIP_BATCH_MAX_FAILED": str(settings.batch_max_failed),
            "OPENCLIP_BATCH_VECTORS": settings.batch_vectors,
        }
        worker = build.function(self, "Worker", "worker", role, variables)
        for prefix in (*WRITTEN, RUNS):
            explain(role, self.output, settings, prefix)
        bucket, prefix = settings.batch_bucket_and_prefix
        acknowledge(role, objects_of(bucket, in_policy(prefix)), "all images of the source are embedded")
        return worker

    def _objects(self, *prefixes: str) -> list[str]:
        return [self.output.arn_for_objects(f"{prefix}*") for prefix in prefixes]

    def _planner(
        self, settings: StackSettings, log_group: logs.ILogGroup, image_formats: Sequence[str]
    ) -> lambda_.Function:
        role = log_only_role(self, "PlannerRole", log_group)
        bucket, prefix = settings.batch_bucket_and_prefix
        arn = f"arn:{Aws.PARTITION}:s3:::{bucket}"
        role.add_to_policy(iam.PolicyStatement(actions=["s3:ListBucket"], resources=[arn, self.output.bucket_arn]))
        plans = self._objects(RUNS)
        role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject", "s3:PutObject"], resources=plans))
        planner = lambda_.Function(
            self,
            "Planner",
            **source("planner"),
            description="Lists the images of a batch run",
            memory_size=512,
            timeout=LIMIT,
            environment={
                "OUTPUT_BUCKET": self.output.bucket_name,
                "SOURCE_BUCKET": bucket,
                "SOURCE_PREFIX": prefix,
                **({"IMAGE_FORMATS": ",".join(image_formats)} if image_formats else {}),
            },
            role=role,
            log_group=log_group,
        )
        explain(role, self.output, settings, RUNS)
        acknowledge(planner, "L1", HELPERS_PYTHON)
        return planner


def _check(package: Package) -> None:
    if EXTRA not in package.extras:
        raise PackageError(
            "batch_source is set, but the package lacks what a batch writes its results with: run "
            "`python -m layer package --with batch`"
        )


def _output(scope: Construct, settings: StackSettings) -> s3.IBucket:
    """Return the bucket for plans and results: one of the user's, or one that is kept when the stack is destroyed."""
    if settings.batch_output:
        return s3.Bucket.from_bucket_name(scope, "Output", settings.batch_output)
    bucket = s3.Bucket(
        scope,
        "Output",
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        encryption=s3.BucketEncryption.S3_MANAGED,
        enforce_ssl=True,
        # Hours of computing lie in it. Only the empty one of a first deployment that failed goes again.
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        lifecycle_rules=[
            s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(7)),
            s3.LifecycleRule(prefix=PARTS, expiration=Duration.days(15)),  # a run can be redriven for 14 days
        ],
    )
    if bucket.policy:  # which refuses plain HTTP, and stays where the bucket does
        bucket.policy.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
    acknowledge(bucket, "S1", "only this stack's roles read and write it, and CloudTrail can record that")
    return bucket


def _may_read(role: iam.Role, settings: StackSettings) -> None:
    bucket, prefix = settings.batch_bucket_and_prefix
    arn = f"arn:{Aws.PARTITION}:s3:::{bucket}"
    role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=[f"{arn}/{in_policy(prefix)}*"]))
    # Without it S3 answers "forbidden" for an object that is gone, as it does for one that may not be read.
    role.add_to_policy(iam.PolicyStatement(actions=["s3:ListBucket"], resources=[arn]))
