"""The state machine of a run: plan, then a Distributed Map over the plan files, one worker a file."""

from aws_cdk import Duration, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.nag import acknowledge, objects_of, versions_of
from infra.settings import StackSettings

WRITER_V2 = "@aws-cdk/aws-stepfunctions:useDistributedMapResultWriterV2"  # a feature flag of CDK
FULL = ("Lambda.TooManyRequestsException",)  # every place of the account is taken, by other shards first of all
BUSY = (  # of Lambda, and passing
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
)
MEANT = ("ShardError", "ValueError")  # of our own functions: the same would come again
# Five days. Each is three of the 25,000 events that an execution may have, and a state transition on the bill.
WAITS = 8_000
PLANNED, EMBEDDED = 2, 5  # times that each is tried again; an image that ends its worker is left out by the last
TRANSIENT = ("States.TaskFailed", "States.Timeout")  # all else: S3 was away; a worker was killed, or out of time


class BatchMachine(Construct):
    """Started with `{"run": name}`, and perhaps `since` and `shard_size`. `arn` is the state machine's."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        planner: lambda_.IFunction,
        worker: lambda_.IFunction,
        output: s3.IBucket,
        settings: StackSettings,
        log_group: logs.ILogGroup,
        vectors_id: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.node.set_context(WRITER_V2, True)  # without it CDK leaves the result writer out, and says nothing
        plan = tasks.LambdaInvoke(
            self,
            "Plan",
            lambda_function=planner,
            payload_response_only=True,
            result_path="$.planned",
            retry_on_service_exceptions=False,
        )
        _retry(plan, PLANNED)
        shards = _shards(self, worker, output, settings, vectors_id)
        listed = sfn.Choice(self, "More to list").when(sfn.Condition.boolean_equals("$.planned.more", True), plan)
        # As of a nightly run with `since`. What a Distributed Map does without an item is not documented.
        nothing = sfn.Succeed(self, "Nothing to embed")
        listed.when(sfn.Condition.number_equals("$.planned.shards", 0), nothing)
        machine = sfn.StateMachine(
            self,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(plan.next(listed.otherwise(shards))),
            tracing_enabled=settings.tracing,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=False),
            timeout=Duration.days(14),
        )
        _explain(machine, planner, worker, output, settings)
        if not settings.tracing:
            acknowledge(machine, "SF2", "tracing=false was written out: each trace is on the bill")
        self.arn = machine.state_machine_arn


def _shards(
    scope: Construct, worker: lambda_.IFunction, output: s3.IBucket, settings: StackSettings, model: str
) -> sfn.DistributedMap:
    # An execution keeps this definition, and not the worker: the model tells a worker that was deployed since.
    given = {"plan.$": "$.plan", "retries.$": "$$.State.RetryCount", "model": model}
    embed = tasks.LambdaInvoke(
        scope,
        "Embed",
        lambda_function=worker,
        payload=sfn.TaskInput.from_object(given),
        payload_response_only=True,
        retry_on_service_exceptions=False,
    )
    _retry(embed, EMBEDDED)
    shards = sfn.DistributedMap(
        scope,
        "Shards",
        label="shards",
        max_concurrency=settings.batch_concurrency,
        tolerated_failure_percentage=settings.batch_tolerated_shards,
        map_execution_type=sfn.StateMachineType.STANDARD,  # an Express child lives for five minutes
        item_reader=sfn.S3ObjectsItemReader(bucket=output, prefix=sfn.JsonPath.string_at("$.planned.prefix")),
        item_selector={"plan.$": "$$.Map.Item.Value.Key"},
        # The results of many shards exceed the 256 KiB of a state.
        result_writer_v2=sfn.ResultWriterV2(bucket=output, prefix="results"),
        result_path=sfn.JsonPath.DISCARD,
    )
    shards.item_processor(embed)
    return shards


def _retry(task: tasks.LambdaInvoke, times: int) -> None:
    """Wait for a place in the account, up to WAITS times; try `times` more what failed for no reason of its own.

    A run may have more workers than the account may run at once: a new account runs 10. A place that falls free mostly
    goes to a shard that begins just then, so one that waits may have to wait for most of the run.

    A killed worker has many names (Runtime.ExitError, Lambda.Unknown, Sandbox.Timedout, ...): so all are retried but
    those that are meant. What a shard had saved is not done again.
    """
    for errors, attempts in ((FULL, WAITS), (BUSY, 10)):
        task.add_retry(
            errors=list(errors),
            interval=Duration.seconds(2),
            max_attempts=attempts,
            backoff_rate=2,
            jitter_strategy=sfn.JitterType.FULL,
            max_delay=Duration.minutes(2),
        )
    task.add_retry(errors=list(MEANT), max_attempts=0)
    task.add_retry(errors=list(TRANSIENT), interval=Duration.seconds(10), max_attempts=times, backoff_rate=2)


def _explain(
    machine: sfn.StateMachine,
    planner: lambda_.IFunction,
    worker: lambda_.IFunction,
    output: s3.IBucket,
    settings: StackSettings,
) -> None:
    logical = Stack.of(machine).get_logical_id(machine.node.default_child)
    name = f'{{"Fn::Select":[6,{{"Fn::Split":[":",{{"Ref":"{logical}"}}]}}]}}'
    executions = f"IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:{name}"
    theirs = settings.batch_output
    bucket = theirs or f"<{Stack.of(output).get_logical_id(output.node.default_child)}>"
    acknowledge(
        machine, "IAM5[Resource::*]", "X-Ray and the delivery of logs have no resource that a policy could name"
    )
    acknowledge(machine, objects_of(bucket), "plan files and results have names that are made at run time")
    acknowledge(
        machine, f"{executions}:*]", "a Distributed Map starts executions of this machine, named by Step Functions"
    )
    acknowledge(machine, f"{executions}/shards:*]", "the same, of its map runs")
    for function in (planner, worker):
        acknowledge(machine, versions_of(function), "CDK's own grant names the function's versions too")
