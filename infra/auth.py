"""Who may call: an API key, IAM, a JWT, or, written out, anybody."""

from collections.abc import Mapping

from aws_cdk import (
    Duration,
    RemovalPolicy,
    Stack,
)
from aws_cdk import (
    aws_apigatewayv2 as api,
)
from aws_cdk import (
    aws_apigatewayv2_authorizers as authorizers,
)
from aws_cdk import (
    aws_iam as iam,
)
from aws_cdk import (
    aws_kms as kms,
)
from aws_cdk import (
    aws_lambda as lambda_,
)
from aws_cdk import (
    aws_logs as logs,
)
from aws_cdk import (
    aws_secretsmanager as secrets,
)
from constructs import Construct

from infra.function import HELPERS_PYTHON, log_only_role, source
from infra.nag import acknowledge
from infra.partition import regional
from infra.settings import StackSettings

# API Gateway keeps no response: it would keep a denial as long as a permission, and a new key may be denied at first.
# The authorizer keeps the key for itself, so that a request costs an invocation of some milliseconds, and no lookup.
CACHE = Duration.seconds(0)
KEY_LENGTH = 48  # letters and digits: 285 bits


class ApiKey(Construct):
    """A generated key in Secrets Manager, and the authorizer that compares with it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        log_group: logs.ILogGroup,
        key: kms.IKey,
        settings: StackSettings,
    ) -> None:
        super().__init__(scope, construct_id)
        self.secret = secrets.Secret(
            self,
            "Secret",
            description="The API key of OpenCLIP's embeddings API: send it as Authorization: Bearer",
            generate_secret_string=secrets.SecretStringGenerator(exclude_punctuation=True, password_length=KEY_LENGTH),
            removal_policy=RemovalPolicy.DESTROY,
        )
        # CDK's own way lets through what Secrets Manager asks of KMS by its name in AWS's commercial regions alone.
        self.secret.node.default_child.kms_key_id = key.key_arn
        role = log_only_role(self, "Role", log_group)
        self.secret.grant_read(role)
        through = {"StringEquals": {"kms:ViaService": regional(self, "secretsmanager")}}
        role.add_to_policy(iam.PolicyStatement(actions=["kms:Decrypt"], resources=[key.key_arn], conditions=through))
        self.function = lambda_.Function(
            self,
            "Authorizer",
            **source("authorizer"),
            description="Compares the bearer token with the API key",
            memory_size=256,  # boto3's import is most of its cold start, and memory buys processor time
            timeout=Duration.seconds(10),
            environment={
                "SECRET_ARN": self.secret.secret_arn,
                "PREVIOUS_KEY_SECONDS": str(settings.previous_key_minutes * 60),
            },
            role=role,
            log_group=log_group,
        )
        acknowledge(self.function, "L1", HELPERS_PYTHON)
        acknowledge(self.secret, "SMG4", "clients hold the key too: rotating it is theirs to time, and is one command")

    def authorizer(self) -> api.IHttpRouteAuthorizer:
        """Authorize by the Authorization header: without one the gateway answers 401 and calls nothing."""
        return authorizers.HttpLambdaAuthorizer(
            "ApiKey",
            self.function,
            response_types=[authorizers.HttpLambdaResponseType.SIMPLE],
            identity_source=["$request.header.Authorization"],
            results_cache_ttl=CACHE,
        )

    def path_authorizer(self) -> api.IHttpRouteAuthorizer:
        """Authorize by the path's `{key}`, of routes that have one: whatever header there is counts for nothing.

        No identity source can name a part of the path, so it is one that every request has.
        """
        return authorizers.HttpLambdaAuthorizer(
            "ApiKeyInPath",
            self.function,
            response_types=[authorizers.HttpLambdaResponseType.SIMPLE],
            identity_source=["$context.routeKey"],
            results_cache_ttl=CACHE,
        )


def other_authorizer(settings: StackSettings) -> api.IHttpRouteAuthorizer:
    """Authorize by what the settings say, which is not `api_key`."""
    if settings.auth == "iam":
        return authorizers.HttpIamAuthorizer()
    if settings.auth == "jwt":
        issuer = settings.jwt_issuer or ""
        return authorizers.HttpJwtAuthorizer("Jwt", issuer, jwt_audience=list(settings.jwt_audience))
    return api.HttpNoneAuthorizer()


def curl(scope: Construct, url: str, auth: str, secret_arn: str | None) -> str:
    """Write the command that asks the deployed API, credentials included as the shell finds them."""
    stack = Stack.of(scope)
    credentials: Mapping[str, str] = {
        "api_key": '-H "authorization: Bearer $(aws secretsmanager get-secret-value --query SecretString '
        f'--output text --secret-id {secret_arn})" ',
        "iam": f'--aws-sigv4 "aws:amz:{stack.region}:execute-api" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" '
        '-H "x-amz-security-token: $AWS_SESSION_TOKEN" ',
        "jwt": '-H "authorization: Bearer $TOKEN" ',
        "none": "",
    }
    return (
        f"curl -s {url}/v1/embeddings {credentials[auth]}"
        """-H 'content-type: application/json' -d '{"input": "a red circle"}'"""
    )
