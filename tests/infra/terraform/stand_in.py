"""A stand-in for Terraform's AWS and archive providers: their schema, and values in place of what AWS would make.

Terraform's registry has the providers, and nothing else does. This speaks the provider protocol (tfplugin6) with the
schema of the real one (aws_schema.json), so that Terraform itself checks each name and type, and
evaluates each expression. No value is checked, as the real one would. A computed value is `<type>.<name>.<attribute>`.
"""

import base64
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import msgpack
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

AWS = json.loads(Path(__file__).with_name("aws_schema.json").read_text(encoding="utf-8"))
TEXT = {"is": "required", "type": "string"}
MADE = {"is": "computed", "type": "string"}
ZIP = {"type": TEXT, "source_file": TEXT, "output_path": TEXT, "id": MADE, "output_base64sha256": MADE}
ARCHIVE = {"resource": {}, "data": {"archive_file": {"attributes": ZIP, "blocks": {}}}}
ACCOUNT = {
    "account_id": "111122223333",
    "partition": "aws-cn",
    "region": "cn-north-1",
    "dns_suffix": "amazonaws.com.cn",
}
UNKNOWN = msgpack.ExtType(0, b"\x00")
NESTING = {"list": pb.Schema.NestedBlock.LIST, "set": pb.Schema.NestedBlock.SET}


def block(described: dict[str, Any]) -> Any:
    """Return a schema's block as the protocol has it."""
    attributes = [
        pb.Schema.Attribute(
            name=name,
            type=json.dumps(one["type"]).encode(),
            required=one["is"] == "required",
            optional=one["is"] == "optional",
            computed=one["is"] == "computed",
        )
        for name, one in described["attributes"].items()
    ]
    blocks = [
        pb.Schema.NestedBlock(type_name=name, nesting=NESTING[inner["nesting"]], block=block(inner))
        for name, inner in described["blocks"].items()
    ]
    return pb.Schema.Block(attributes=attributes, block_types=blocks)


def read(value: Any) -> Any:
    return msgpack.unpackb(value.msgpack, ext_hook=msgpack.ExtType) if value.msgpack else json.loads(value.json)


def written(value: Any) -> Any:
    return pb.DynamicValue(msgpack=msgpack.packb(value))


class Provider(rpc.ProviderServicer):  # type: ignore[misc]
    """One provider; what it does not implement, Terraform does not ask for here."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self.made = 0

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        empty = pb.Schema.Block(attributes=[pb.Schema.Attribute(name="region", type=b'"string"', optional=True)])
        whole = {
            kind: {name: pb.Schema(version=0, block=block(one)) for name, one in self.schema[kind].items()}
            for kind in ("resource", "data")
        }
        return pb.GetProviderSchema.Response(
            provider=pb.Schema(block=empty), resource_schemas=whole["resource"], data_source_schemas=whole["data"]
        )

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateProviderConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        return pb.ConfigureProvider.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateDataResourceConfig.Response()

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:
        return pb.UpgradeResourceState.Response(upgraded_state=written(json.loads(request.raw_state.json)))

    def ReadResource(self, request: Any, context: Any) -> Any:
        return pb.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        planned = read(request.proposed_new_state)
        if planned is not None:
            for name, one in self.schema["resource"][request.type_name]["attributes"].items():
                if one["is"] == "computed" and planned[name] is None:
                    planned[name] = UNKNOWN
        return pb.PlanResourceChange.Response(planned_state=written(planned))

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        state = read(request.planned_state)
        if state is not None:
            self.made += 1
            for name, value in state.items():
                if isinstance(value, msgpack.ExtType):
                    known = self.schema["resource"][request.type_name]["attributes"][name]["type"]
                    told = state.get("name") or state.get("function_name") or state.get("key") or str(self.made)
                    state[name] = f"<{request.type_name} {told} {name}>" if known == "string" else self.made
        return pb.ApplyResourceChange.Response(new_state=written(state))

    def ReadDataSource(self, request: Any, context: Any) -> Any:
        state = read(request.config)
        attributes = self.schema["data"][request.type_name]["attributes"]
        state |= {name: ACCOUNT.get(name, "told") for name in attributes if state[name] is None}
        if request.type_name == "archive_file":
            content = Path(state["source_file"]).read_bytes()
            with zipfile.ZipFile(state["output_path"], "w") as archive:
                archive.writestr(zipfile.ZipInfo(Path(state["source_file"]).name), content)
            state["output_base64sha256"] = base64.b64encode(hashlib.sha256(content).digest()).decode()
        return pb.ReadDataSource.Response(state=written(state))

    def StopProvider(self, request: Any, context: Any) -> Any:
        return pb.StopProvider.Response()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve both; yields TF_REATTACH_PROVIDERS, by which Terraform takes them in place of its registry's."""
    servers, told = [], {}
    for name, schema in {"aws": AWS, "archive": ARCHIVE}.items():
        server = grpc.server(futures.ThreadPoolExecutor(8))
        rpc.add_ProviderServicer_to_server(Provider(schema), server)
        socket = folder / f"{name}.sock"
        server.add_insecure_port(f"unix://{socket}")
        server.start()
        servers.append(server)
        told[f"registry.terraform.io/hashicorp/{name}"] = {
            **{"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True},
            "Addr": {"Network": "unix", "String": str(socket)},
        }
    try:
        yield json.dumps(told)
    finally:
        for server in servers:
            server.stop(0)
