"""Write a SAM template of what `make package` wrote: `python examples/sam/template.py`, then as `--help` says.

Handler, runtime, architecture, environment, memory and the order of the layers are read from package.json. Roles, key,
throttle, logs and limits are those of the CDK app; what that has on top is in examples/README.md.
"""

import json
import os
import sys
from argparse import ArgumentParser, RawTextHelpFormatter
from pathlib import Path
from typing import Any

AUTHORIZER = Path(__file__).resolve().parents[2] / "infra" / "functions" / "authorizer"
POSTS = ("/v1/embeddings", "/v1/classify", "/v1/similarity")
GETS = ("/v1/models", "/v1/models/{proxy+}", "/health")
ACCESS_LOG = {  # no header, no query and no path: a credential could be in each
    "time": "$context.requestTime",
    "requestId": "$context.requestId",
    "route": "$context.routeKey",
    "status": "$context.status",
    "sourceIp": "$context.identity.sourceIp",
    "responseLatency": "$context.responseLatency",
    "integrationLatency": "$context.integrationLatency",
    "integrationError": "$context.integrationErrorMessage",
    "authorizerError": "$context.authorizer.error",
    "error": "$context.error.responseType",
}
# The prefix saves room in a small policy of the account. By the id, a group that was left does not stop the next stack.
OWN = {"Id": {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}}
ACCESS_LOGS = ["/aws/vendedlogs/sam/${AWS::StackName}/access-${Id}", OWN]
COMMANDS = """then, with the SAM CLI and, for an image, Docker:
  sam build --template build/sam.json
  sam deploy --guided --capabilities CAPABILITY_IAM     (--resolve-image-repos for an image)
"""
Properties = dict[str, Any]


def main() -> int:
    """Write <build>/sam.json; returns the exit status."""
    parser = ArgumentParser(description=__doc__, epilog=COMMANDS, formatter_class=RawTextHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path("build"), help="where `make package` wrote (default: build)")
    parser.add_argument("--memory", type=int, help="MB (default: what the package names)")
    parser.add_argument("--no-snap-start", action="store_true", help="no snapshot with the model loaded")
    options = parser.parse_args()
    if options.memory is not None and not 512 <= options.memory <= 10_240:
        parser.error(f"--memory {options.memory}: a function has 512 to 10240 MB")
    build = options.build
    try:
        package = json.loads((build / "package.json").read_text(encoding="utf-8"))
        memory = options.memory or package.get("memory", 3008)  # an older package names none
        written = template(package, os.path.relpath(AUTHORIZER, build), memory, not options.no_snap_start)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"error: {build / 'package.json'} cannot be read ({error!r}): run `make package`")
    (build / "sam.json").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    print(f"{build / 'sam.json'} is written")
    return 0


def template(package: Properties, authorizer: str, memory: int, snap_start: bool) -> Properties:
    """Return the template. Its paths are relative to the build; `authorizer` is the folder of that function's code.

    It has no parameter: SAM publishes a version where the template has changed, and not where a parameter's value has.
    """
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Description": "OpenCLIP embeddings, deployed by the SAM CLI",  # `make deploy` leaves such a stack alone
        "Resources": {
            "Key": resource("AWS::KMS::Key", **encryption_key()),
            **{f"{name}Logs": log_group() for name in ("Function", "Authorizer")},
            "AccessLogs": log_group(LogGroupName={"Fn::Sub": ACCESS_LOGS}),
            **layers(package),
            "FunctionRole": role("FunctionLogs", allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*")),
            "Function": embedding(package, memory, snap_start) | built(package),
            **key_and_authorizer(authorizer),
            "Api": resource("AWS::Serverless::HttpApi", **gateway()),
        },
        "Outputs": {
            "Url": {"Value": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}},
            "ApiKeySecretArn": {"Value": {"Ref": "ApiKey"}},
            "FunctionName": {"Value": {"Ref": "Function"}},
        },
    }


def resource(kind: str, **properties: Any) -> Properties:
    """Return a resource of a type."""
    return {"Type": kind, "Properties": properties}


def allow(actions: list[str], place: Any, **more: Any) -> Properties:
    """Return a policy's statement."""
    return {"Effect": "Allow", "Action": actions, "Resource": place, **more}


def built(package: Properties) -> Properties:
    """Return where the function's image is built; nothing for a zip, whose place is a property."""
    if package["function"]["layers"]:
        return {}
    tag = package["manifest_sha256"][:12]
    return {"Metadata": {"DockerContext": "image", "Dockerfile": "Dockerfile", "DockerTag": tag}}


def embedding(package: Properties, memory: int, snap_start: bool) -> Properties:
    """Return the embedding function. What it has replaced is deleted: AWS bills for the snapshot of each version."""
    function = package["function"]
    code: Properties = {"PackageType": "Image"}
    if function["layers"]:
        code = {
            "CodeUri": next(row["path"] for row in package["artefacts"] if row["role"] == "function"),
            "Handler": function["handler"],
            "Runtime": function["runtime"],
            "Layers": [{"Ref": logical_id(path)} for path in function["layers"]],
        }
    events = {
        f"Route{number}": {
            "Type": "HttpApi",
            "Properties": {"ApiId": {"Ref": "Api"}, "Method": method, "Path": path, "TimeoutInMillis": 29_000},
        }
        for number, (method, path) in enumerate([("POST", one) for one in POSTS] + [("GET", one) for one in GETS])
    }
    properties = {
        **code,
        "Description": f"OpenCLIP embeddings, bundle {package['manifest_sha256'][:12]}",
        "Architectures": [function["architecture"]],
        "MemorySize": memory,
        "Timeout": 29,  # seconds; the gateway waits no longer
        "EphemeralStorage": {"Size": 512},
        "Environment": {"Variables": function["environment"]},
        "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "LogGroup": {"Ref": "FunctionLogs"}},
        "Tracing": "Active",
        "Role": {"Fn::GetAtt": ["FunctionRole", "Arn"]},
        "AutoPublishAlias": "live",
        "AutoPublishAliasAllProperties": True,  # or `live` stays on the old model, memory and environment
        "SnapStart": {"ApplyOn": "PublishedVersions" if snap_start else "None"},
        "EventInvokeConfig": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 3600},
        "Events": events,
    }
    return {"DeletionPolicy": "Delete", **resource("AWS::Serverless::Function", **properties)}


def layers(package: Properties) -> Properties:
    """Return a resource for each layer."""
    function, roles = package["function"], {row["path"]: row["role"] for row in package["artefacts"]}
    return {
        logical_id(path): resource(
            "AWS::Serverless::LayerVersion",
            LayerName={"Fn::Sub": "${AWS::StackName}-" + path.removesuffix(".zip")},
            ContentUri=path,
            Description=f"OpenCLIP {roles[path]}, bundle {package['manifest_sha256'][:12]}",
            CompatibleArchitectures=[function["architecture"]],
            CompatibleRuntimes=[function["runtime"]],
            RetentionPolicy="Delete",
            PublishLambdaVersion=True,  # of the function, where this layer alone has changed
        )
        for path in function["layers"]
    }


def logical_id(path: str) -> str:
    """Name a layer's resource by its file, as LayerDeps."""
    return "".join(part.capitalize() for part in path.removesuffix(".zip").split("-"))


def role(logs: str, *statements: Properties) -> Properties:
    """Return a role that a function may take: it writes to one log group, and may do what the statements say."""
    write = allow(["logs:CreateLogStream", "logs:PutLogEvents"], {"Fn::GetAtt": [logs, "Arn"]})
    policy = {"Version": "2012-10-17", "Statement": [write, *statements]}
    trusted = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    return resource(
        "AWS::IAM::Role",
        AssumeRolePolicyDocument={"Version": "2012-10-17", "Statement": [trusted]},
        Policies=[{"PolicyName": "Own", "PolicyDocument": policy}],
    )


def log_group(**name: Any) -> Properties:
    """Return an encrypted log group that goes with the stack."""
    gone = {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"}
    return resource("AWS::Logs::LogGroup", KmsKeyId={"Fn::GetAtt": ["Key", "Arn"]}, RetentionInDays=30, **name) | gone


def encryption_key() -> Properties:
    """Return the properties of the key of logs and secret: for the account, and for log groups of this region."""
    groups = {"Fn::Sub": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*"}
    actions = [f"kms:{verb}*" for verb in ("Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "Describe")]
    account = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    service = {"Service": {"Fn::Sub": "logs.${AWS::Region}.${AWS::URLSuffix}"}}
    for_logs = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}}
    statements = [allow(["kms:*"], "*", Principal=account), allow(actions, "*", Principal=service, Condition=for_logs)]
    policy = {"Version": "2012-10-17", "Statement": statements}
    return {"EnableKeyRotation": True, "PendingWindowInDays": 7, "KeyPolicy": policy}


def key_and_authorizer(folder: str) -> Properties:
    """Return the secret with the API key, and the function that compares with it."""
    through = {"StringEquals": {"kms:ViaService": {"Fn::Sub": "secretsmanager.${AWS::Region}.${AWS::URLSuffix}"}}}
    return {
        "ApiKey": resource(
            "AWS::SecretsManager::Secret",
            Description="The API key of OpenCLIP's embeddings API: send it as Authorization: Bearer",
            GenerateSecretString={"ExcludePunctuation": True, "PasswordLength": 48},
            KmsKeyId={"Fn::GetAtt": ["Key", "Arn"]},
        ),
        "AuthorizerRole": role(
            "AuthorizerLogs",
            allow(["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], {"Ref": "ApiKey"}),
            allow(["kms:Decrypt"], {"Fn::GetAtt": ["Key", "Arn"]}, Condition=through),
        ),
        "Authorizer": resource(
            "AWS::Serverless::Function",
            CodeUri=folder,
            Handler="index.handler",
            Runtime="python3.13",
            Description="Compares the bearer token with the API key",
            MemorySize=256,
            Timeout=10,
            Environment={"Variables": {"SECRET_ARN": {"Ref": "ApiKey"}, "PREVIOUS_KEY_SECONDS": "3600"}},
            LoggingConfig={"LogGroup": {"Ref": "AuthorizerLogs"}},
            Role={"Fn::GetAtt": ["AuthorizerRole", "Arn"]},
        ),
    }


def gateway() -> Properties:
    """Return the properties of the HTTP API: every route asks for the key."""
    key = {
        "FunctionArn": {"Fn::GetAtt": ["Authorizer", "Arn"]},
        "AuthorizerPayloadFormatVersion": "2.0",
        "EnableSimpleResponses": True,
        "EnableFunctionDefaultPermissions": True,
        # A denial would be kept as long as a permission.
        "Identity": {"Headers": ["Authorization"], "ReauthorizeEvery": 0},
    }
    log = {"DestinationArn": {"Fn::GetAtt": ["AccessLogs", "Arn"]}, "Format": json.dumps(ACCESS_LOG)}
    return {
        "StageName": "$default",
        "Auth": {"DefaultAuthorizer": "ApiKey", "Authorizers": {"ApiKey": key}},
        "DefaultRouteSettings": {
            "DetailedMetricsEnabled": False,  # CloudWatch bills six metrics of each route
            "ThrottlingRateLimit": 50,  # requests per second, of all callers together
            "ThrottlingBurstLimit": 100,
        },
        "AccessLogSettings": log,
    }


if __name__ == "__main__":
    sys.exit(main())
