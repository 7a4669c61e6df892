"""The one stack: the package behind an HTTP API."""

from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import network
from infra.api import HttpApi
from infra.auth import ApiKey, curl, other_authorizer
from infra.failed_invokes import FailedInvokes
from infra.function import EmbeddingFunction, log_only_role
from infra.logging import LogGroups
from infra.monitoring import Monitoring
from infra.package import Package
from infra.rollout import Rollout
from infra.settings import StackSettings
from infra.stack_names import API
from infra.uploads import synthesizer

if TYPE_CHECKING:
    from infra.batch import Batch
    from infra.search import Search

LAYERS_COUNT = "@aws-cdk/aws-lambda:recognizeLayerVersion"  # a feature flag of CDK


class OpenClipStack(Stack):
    """API Gateway -> alias `live` -> a published version of the function, with what guards and watches them."""

    def __init__(self, scope: Construct, *, package: Package, settings: StackSettings) -> None:
        super().__init__(scope, settings.stack_name, description=API, synthesizer=synthesizer(settings.asset_prefix))
        self.node.set_context(LAYERS_COUNT, True)  # without it a layer that changes alone publishes no version
        groups = LogGroups(self, "Logs", retention_days=settings.log_retention)
        function_log, helpers_log = groups.group("Function"), groups.group("Helpers")
        role = log_only_role(self, "Role", function_log)
        isolated, keyed, buckets = settings.vpc == "isolated", settings.auth == "api_key", settings.allowed_buckets
        net = network.isolated(self, log_group=helpers_log, role=role, buckets=buckets) if isolated else None
        embedding = EmbeddingFunction(
            self, "OpenClip", package=package, settings=settings, log_group=function_log, role=role, network=net
        )
        function = embedding.function
        rollout = Rollout(self, "Rollout", function=function, package=package, settings=settings, log_group=helpers_log)
        failed = FailedInvokes(self, "Failed", function=function, alias=rollout.alias, role=role, key=groups.key)
        api_key = ApiKey(self, "ApiKey", log_group=helpers_log, key=groups.key, settings=settings) if keyed else None
        http = HttpApi(
            self,
            "Http",
            alias=rollout.alias,
            authorizer=api_key.authorizer() if api_key else other_authorizer(settings),
            path_authorizer=api_key.path_authorizer() if api_key else None,
            settings=settings,
            log_group=groups.delivered("Access"),
            own_routes=package.own_routes,
        )
        monitoring = Monitoring(
            self,
            "Monitoring",
            function=function,
            alias=rollout.alias,
            stage=http.stage,
            authorizer=api_key.function if api_key else None,
            failed=failed.queue,
            log_group=function_log,
            own_code=package.own_preprocessing is not None,
            settings=settings,
        )
        if settings.batch_source:
            self._add_collections(package, settings, embedding, rollout.alias, http, monitoring, groups, helpers_log)
        self._tell(http.url, settings.auth, function.function_name, api_key)

    def _tell(self, url: str, auth: str, function: str, api_key: ApiKey | None) -> None:
        secret_arn = api_key.secret.secret_arn if api_key else None
        CfnOutput(self, "Url", value=url)
        CfnOutput(self, "Curl", value=curl(self, url, auth, secret_arn))
        CfnOutput(self, "FunctionName", value=function)
        if secret_arn:
            CfnOutput(self, "ApiKeySecretArn", value=secret_arn)

    def _add_collections(
        self,
        package: Package,
        settings: StackSettings,
        embedding: EmbeddingFunction,
        live: lambda_.IAlias,
        http: HttpApi,
        monitoring: Monitoring,
        groups: LogGroups,
        helpers_log: logs.ILogGroup,
    ) -> None:
        from infra import batch_alarms
        from infra.batch import Batch  # late: most stacks have none

        batch = Batch(
            self,
            "Batch",
            package=package,
            layers=embedding.layers,
            settings=settings,
            log_group=groups.group("Batch"),
            helpers_log=helpers_log,
            runs_log=groups.delivered("Runs"),
            key=groups.key,
        )
        batch_alarms.watch(monitoring, batch)
        gates = [live]
        if settings.search:
            search = self._add_search(package, settings, batch, http, monitoring, groups, helpers_log)
            gates.append(search.alias)
            search.change_after(*gates)
        batch.change_after(*gates)

    def _add_search(
        self,
        package: Package,
        settings: StackSettings,
        batch: "Batch",
        http: HttpApi,
        monitoring: Monitoring,
        groups: LogGroups,
        helpers_log: logs.ILogGroup,
    ) -> "Search":
        from infra import search_alarms
        from infra.search import Search
        from infra.search_index import LanceFolder, Place
        from infra.vector_stack import vector_index

        place: Place = (
            LanceFolder(batch.output, settings) if settings.search == "lance" else vector_index(package, settings)
        )
        search = Search(
            self,
            "Search",
            package=package,
            settings=settings,
            place=place,
            output=batch.output,
            groups=groups,
            helpers_log=helpers_log,
        )
        http.add_search(search.alias)
        search_alarms.watch(monitoring, search, settings)
        return search
