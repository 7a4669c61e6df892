"""The HTTP API in front of the alias: routes, credentials, throttle, CORS, access log."""

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as api
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.errors import PackageError
from infra.nag import acknowledge
from infra.settings import GATEWAY_SECONDS, StackSettings

READ = (api.HttpMethod.GET, api.HttpMethod.HEAD)  # what only looks, a monitor looks at with HEAD
# What the handler answers. A path that is not here ends at the gateway, which costs no invocation.
ROUTES = {
    "/": (*READ, api.HttpMethod.POST),
    "/.well-known/live": READ,
    "/.well-known/ready": READ,
    "/docs": READ,
    "/embed": (api.HttpMethod.POST,),
    "/health": READ,
    "/meta": READ,
    "/openapi.json": READ,
    "/ping": READ,
    "/predict": (api.HttpMethod.POST,),
    "/v1/classify": (api.HttpMethod.POST,),
    "/v1/embeddings": (api.HttpMethod.POST,),
    "/v1/models": READ,
    "/v1/models/{proxy+}": READ,  # an id has slashes
    "/v1/multimodalembeddings": (api.HttpMethod.POST,),
    "/v1/similarity": (api.HttpMethod.POST,),
    "/v2/embed": (api.HttpMethod.POST,),
    "/vectorize": (api.HttpMethod.POST,),
}
# What the search function answers, where there is one.
SEARCH_ROUTES = {"/v1/search": (api.HttpMethod.POST,), "/v1/index": (*READ, api.HttpMethod.POST)}
# Whose requests some of these are: a dialect that the settings leave out has no route.
DIALECTS = {
    "cohere": ("/v2/embed",),
    "immich": ("/ping", "/predict"),
    "tei": ("/embed",),
    "voyage": ("/v1/multimodalembeddings",),
    "weaviate": ("/.well-known/live", "/.well-known/ready", "/meta", "/vectorize"),
}
# A path that is posted to as another is: by clients of text-embeddings-inference that have its address alone.
SAME = {"/": "/embed"}
# Below this path the key may stand in it, for a client that sends no header: with an API key, and for Weaviate alone.
KEYED = "/k/{key}"
# A browser that opens a page can send no credential. These hold no data: what they ask for needs one.
PAGES = ("/", "/docs", "/openapi.json")
INTEGRATION_TIMEOUT = Duration.seconds(GATEWAY_SECONDS)
ACCESS_LOG = {  # no header, no query and no path: a credential could be in each. A route has {key}
    "time": "$context.requestTime",
    "requestId": "$context.requestId",
    "route": "$context.routeKey",
    "status": "$context.status",
    "sourceIp": "$context.identity.sourceIp",
    "responseLatency": "$context.responseLatency",
    "integrationLatency": "$context.integrationLatency",
    "integrationError": "$context.integrationErrorMessage",
    "authorizerError": "$context.authorizer.error",
    "error": "$context.error.responseType",  # why the gateway itself refused: UNAUTHORIZED, THROTTLED ...
}


class HttpApi(Construct):
    """The API and its one stage."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        alias: lambda_.IAlias,
        authorizer: api.IHttpRouteAuthorizer,
        path_authorizer: api.IHttpRouteAuthorizer | None,
        settings: StackSettings,
        log_group: logs.ILogGroup,
        own_routes: Mapping[str, tuple[str, ...]],
    ) -> None:
        super().__init__(scope, construct_id)
        self.api = api.HttpApi(
            self,
            "Api",
            api_name=settings.stack_name,
            description="OpenCLIP embeddings",
            create_default_stage=False,
            default_authorizer=authorizer,
            cors_preflight=_cors(settings.cors_origins, own_routes),
        )
        self.stage = api.HttpStage(
            self,
            "Stage",
            http_api=self.api,
            stage_name="$default",
            auto_deploy=True,
            throttle=api.ThrottleSettings(rate_limit=settings.throttle_rate, burst_limit=settings.throttle_burst),
            detailed_metrics_enabled=False,  # CloudWatch bills six metrics of each route, which nothing here reads
        )
        self._configure(self.stage.node.default_child, settings, log_group)
        self._add_routes(alias, settings, path_authorizer, own_routes)
        if settings.auth == "none":
            acknowledge(self, "APIG4", "auth=none was written out: whoever reaches the API may call it")

    @staticmethod
    def _configure(stage: api.CfnStage, settings: StackSettings, log_group: logs.ILogGroup) -> None:
        """Set what CDK's own stage has no property for, or one that Python cannot implement."""
        stage.access_log_settings = api.CfnStage.AccessLogSettingsProperty(
            destination_arn=log_group.log_group_arn, format=json.dumps(ACCESS_LOG)
        )
        stage.route_settings = _page_limits(settings)

    def _add_routes(
        self,
        alias: lambda_.IAlias,
        settings: StackSettings,
        path_authorizer: api.IHttpRouteAuthorizer | None,
        own_routes: Mapping[str, tuple[str, ...]],
    ) -> None:
        # One permission for the API: one for each route would not fit a function's policy, which takes 20 KB.
        integration = integrations.HttpLambdaIntegration(
            "Live", alias, timeout=INTEGRATION_TIMEOUT, scope_permission_to_route=False
        )
        for path, methods in _routes(settings).items():
            self._add_route(path, methods, integration, settings.pages)
        for path, names in own_routes.items():
            if path in ROUTES or path in SEARCH_ROUTES:
                raise PackageError(f"the package's own route {path} is one of ours: rename it, and package again")
            own = [*names, *(("HEAD",) if "GET" in names else ())]
            self._add_route(path, tuple(api.HttpMethod[name] for name in own), integration)
        if path_authorizer and "weaviate" in settings.answered_dialects:
            for path in DIALECTS["weaviate"]:
                keyed = {"path": KEYED + path, "methods": list(ROUTES[path]), "authorizer": path_authorizer}
                self.api.add_routes(integration=integration, **keyed)

    def add_search(self, alias: lambda_.IAlias) -> None:
        """Add the routes that the search function answers: with the authorizer and the throttle of all others."""
        integration = integrations.HttpLambdaIntegration(
            "Search", alias, timeout=INTEGRATION_TIMEOUT, scope_permission_to_route=False
        )
        for path, methods in SEARCH_ROUTES.items():
            self.api.add_routes(path=path, methods=list(methods), integration=integration)

    def _add_route(
        self,
        path: str,
        methods: tuple[api.HttpMethod, ...],
        integration: integrations.HttpLambdaIntegration,
        opens: bool = True,
    ) -> None:
        """Add a path. Where it is a page's, its routes are open, or, without `opens`, closed.

        A closed one stays: CloudFormation leaves a route's settings on the stage, and API Gateway refuses every later
        change of a stage with settings of a route that is gone. No key or token passes it, and the handler has no page.
        """
        pages = [method for method in methods if path in PAGES and method in READ]
        if guarded := [method for method in methods if method not in pages]:
            self.api.add_routes(path=path, methods=guarded, integration=integration)
        if not pages:
            return
        page = {"authorizer": api.HttpNoneAuthorizer() if opens else authorizers.HttpIamAuthorizer()}
        for route in self.api.add_routes(path=path, methods=pages, integration=integration, **page):
            if opens:
                acknowledge(route, "APIG4", "a page without data, which a browser opens without a credential")
            self.stage.node.add_dependency(route)  # its settings name the route, which has to be there

    @property
    def url(self) -> str:
        """The API's address, without a slash at its end."""
        return str(self.api.api_endpoint)


def _routes(settings: StackSettings) -> dict[str, tuple[api.HttpMethod, ...]]:
    """Return the routes that the settings leave on."""
    off = {path for name, paths in DIALECTS.items() if name not in settings.answered_dialects for path in paths}
    gone = {(path, method) for path in off for method in ROUTES[path]}
    gone |= {(path, api.HttpMethod.POST) for path, other in SAME.items() if other in off}
    left = {path: tuple(one for one in methods if (path, one) not in gone) for path, methods in ROUTES.items()}
    return {path: methods for path, methods in left.items() if methods}


def _page_limits(settings: StackSettings) -> dict[str, Any]:
    """Throttle each page by itself: who gives no credential takes nothing of what other callers may ask."""
    limits = {
        "ThrottlingRateLimit": settings.pages_rate,
        "ThrottlingBurstLimit": settings.pages_burst,
        "DetailedMetricsEnabled": False,
    }
    return {f"{method.value} {path}": limits for path in PAGES for method in READ}


def _cors(
    origins: tuple[str, ...], own_routes: Mapping[str, tuple[str, ...]] | None = None
) -> api.CorsPreflightOptions | None:
    """Let pages of these origins call and read the responses.

    All of it stands here: with a CORS configuration API Gateway answers OPTIONS itself, drops what the integration says
    of CORS, and adds it to its own 401, 403 and 429, which the function never sees.
    """
    if not origins:
        return None
    own_methods = (own_routes or {}).values()
    return api.CorsPreflightOptions(
        allow_origins=list(origins),
        allow_methods=[api.CorsHttpMethod[name] for name in sorted({"GET", "HEAD", "POST"}.union(*own_methods))],
        allow_headers=["authorization", "*"],  # clients add their own; `*` is all but authorization
        expose_headers=["server-timing", "x-openclip-cold", "x-openclip-full", "x-openclip-manifest", "x-request-id"],
        max_age=Duration.hours(2),  # the most that Chromium keeps
    )
