"""What Terraform made and what CDK synthesized, in words that both have."""

from typing import Any

PSEUDO = {  # of a partition in which services have other names
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws-cn",
    "AWS::Region": "cn-north-1",
    "AWS::URLSuffix": "amazonaws.com.cn",
}


class State:
    """What was made: by address, each with its values."""

    def __init__(self, applied: dict[str, Any]) -> None:
        assert "error" not in applied, applied["error"]
        rows = applied["state"]["values"]["root_module"]["resources"]
        self.made: dict[str, dict[str, Any]] = {row["address"]: row["values"] for row in rows}

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [values for address, values in self.made.items() if address.startswith(f"{kind}.")]

    def as_template(self, address: str) -> dict[str, Any]:
        """A resource's values, named as CloudFormation names them."""
        named: dict[str, Any] = pascal(self.made[address])
        return named


def pascal(value: Any, is_map: bool = False) -> Any:
    """Name keys as CloudFormation does, take blocks out of their lists, and leave out what is not set."""
    if isinstance(value, list):
        return pascal(value[0]) if len(value) == 1 and isinstance(value[0], dict) else value
    if not isinstance(value, dict):
        return value
    kept = {key: one for key, one in value.items() if one not in (None, [], {})}
    if is_map:
        return kept
    return {
        "".join(part.capitalize() for part in key.split("_")): pascal(one, key == "variables")
        for key, one in kept.items()
    }


def resolved(template: dict[str, Any], value: Any) -> Any:
    """Put one text in the place of each intrinsic function; a resource's is `<logical ID>`."""
    if isinstance(value, list):
        return [resolved(template, one) for one in value]
    if not isinstance(value, dict):
        return value
    if "Ref" in value:
        return PSEUDO.get(value["Ref"], f"<{value['Ref']}>")
    if "Fn::GetAtt" in value:
        return f"<{value['Fn::GetAtt'][0]}>"
    if "Fn::Join" in value:
        return value["Fn::Join"][0].join(resolved(template, value["Fn::Join"][1]))
    if "Fn::Select" in value:  # a part of a resource's ARN, such as its name
        return f"<{value['Fn::Select'][0]}>"
    return {key: resolved(template, one) for key, one in value.items()}
