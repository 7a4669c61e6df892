"""The optional network without a way out: the model needs none, and images come over the S3 gateway endpoint."""

from dataclasses import dataclass

from aws_cdk import Aws
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

INTERFACES = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
]


@dataclass(frozen=True)
class Network:
    """The VPC and the security group of the function's network interfaces."""

    vpc: ec2.IVpc
    security_group: ec2.ISecurityGroup


def isolated(scope: Construct, *, log_group: logs.ILogGroup, role: iam.IGrantable, buckets: tuple[str, ...]) -> Network:
    """Make a VPC of isolated subnets: no internet gateway, no NAT. `role` may have interfaces in it."""
    vpc = ec2.Vpc(
        scope,
        "Vpc",
        max_azs=2,
        nat_gateways=0,
        restrict_default_security_group=False,  # would be a Node.js function of CDK's own; nothing uses that group
        subnet_configuration=[ec2.SubnetConfiguration(name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)],
    )
    vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group))
    if buckets:
        endpoint = vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        arns = [f"arn:{Aws.PARTITION}:s3:::{bucket}/*" for bucket in buckets]
        endpoint.add_to_policy(
            iam.PolicyStatement(
                principals=[iam.AnyPrincipal()], actions=["s3:GetObject", "s3:GetObjectVersion"], resources=arns
            )
        )
    group = ec2.SecurityGroup(
        scope,
        "SecurityGroup",
        vpc=vpc,
        description="OpenCLIP: nothing comes in; out goes only what the subnets lead to",
        allow_all_outbound=bool(buckets),  # the endpoint's addresses are known to AWS's route table alone
    )
    _may_have_interfaces(role)
    return Network(vpc, group)


def _may_have_interfaces(role: iam.IGrantable) -> None:
    """Let Lambda make the function's interfaces, by the function's role, and deny the same to the function's own code.

    EC2 knows no narrower resource, so the code could make and delete interfaces of any network in the account. Lambda's
    guide, "Using source function ARN to control function access behavior": the key is in credentials of the function's
    execution environment, and not in those with which Lambda itself calls EC2.
    """
    from_the_code = {"Null": {"lambda:SourceFunctionArn": "false"}}
    for effect, conditions in ((iam.Effect.ALLOW, None), (iam.Effect.DENY, from_the_code)):
        statement = iam.PolicyStatement(effect=effect, actions=INTERFACES, resources=["*"], conditions=conditions)
        role.grant_principal.add_to_principal_policy(statement)
