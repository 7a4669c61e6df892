"""`vpc=isolated`: where the function stands, what it reaches, and who may make its network interfaces."""

from tests.infra.conftest import Synth, resources, statements_of, the_function


def test_the_isolated_network_has_no_way_out_but_to_the_buckets(synth: Synth) -> None:
    template = synth(vpc="isolated")
    assert resources(template, "AWS::EC2::InternetGateway") == []
    assert resources(template, "AWS::EC2::NatGateway") == []
    assert resources(template, "AWS::EC2::Route") == []
    assert len(the_function(template)["VpcConfig"]["SubnetIds"]) == 2
    (endpoint,) = resources(synth(vpc="isolated", allowed_buckets="images", out="s3"), "AWS::EC2::VPCEndpoint")
    assert endpoint["VpcEndpointType"] == "Gateway"


def test_in_the_isolated_network_lambda_may_make_interfaces_and_the_functions_code_may_not(synth: Synth) -> None:
    """lambda:SourceFunctionArn is a property of the code's credentials alone (IAM, "Global condition context keys")."""
    ours = [item for item in statements_of(synth(vpc="isolated")) if "ec2:CreateNetworkInterface" in item["Action"]]
    allowed, denied = sorted(ours, key=lambda item: str(item["Effect"]))

    assert (allowed["Effect"], denied["Effect"]) == ("Allow", "Deny")
    assert "Condition" not in allowed  # Lambda asks without the key
    assert denied["Condition"] == {"Null": {"lambda:SourceFunctionArn": "false"}}
    assert allowed["Action"] == denied["Action"]
