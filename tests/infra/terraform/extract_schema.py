"""Write aws_schema.json: what the AWS provider for Terraform takes, of the resources that examples/terraform has.

The provider comes from Terraform's registry alone. Its schema is public elsewhere, too: npm's @cdktf/provider-aws is
generated from it. To renew it: `npm pack @cdktf/provider-aws`, unpack, and run this with the unpacked folder.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CONFIGURATION = HERE.parents[2] / "examples" / "terraform"
SIMPLE = {"string": "string", "number": "number", "boolean": "bool"}
ENTRY = re.compile(
    r"^ +(\w+): \{\n +value: .*\n +isBlock: (true|false),\n +type: \"(\w+)\",\n +storageClassType: \"(\w+)\"",
    re.MULTILINE,
)
COMPUTED = re.compile(
    r"// (\w+) - computed: true, optional: false, required: false\n +get \w+\(\) \{\n +return this\.get(\w+)Attribute\("
)
VERSION = re.compile(r"providerVersion: '([\d.]+)'")


def main(package: Path) -> None:
    """Extract every resource and data source that the example names."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(CONFIGURATION.glob("*.tf")))
    named = {
        kind: sorted(set(re.findall(rf'^{kind} "(aws_\w+)"', text, re.MULTILINE))) for kind in ("resource", "data")
    }
    schema: dict[str, Any] = {
        "resource": {name: _schema(package, name, "") for name in named["resource"]},
        "data": {name: _schema(package, name, "data-aws-") for name in named["data"]},
    }
    schema["version"] = _version(package)
    (HERE / "aws_schema.json").write_text(_by_line(schema), encoding="utf-8")


def _by_line(schema: dict[str, Any]) -> str:
    """Write a resource a line, so that a difference can be read."""
    parts = [
        f'"{kind}": {{\n' + ",\n".join(f'"{name}": {json.dumps(one)}' for name, one in schema[kind].items()) + "\n}"
        for kind in ("resource", "data")
    ]
    return "{" + ",\n".join([f'"version": {json.dumps(schema["version"])}', *parts]) + "}\n"


def _version(package: Path) -> str:
    found = VERSION.search((package / "lib" / "lambda-function" / "index.js").read_text(encoding="utf-8"))
    assert found, "no version of the provider"
    return found[1]


def _schema(package: Path, name: str, prefix: str) -> dict[str, Any]:
    folder = package / "lib" / (prefix + name.removeprefix("aws_").replace("_", "-"))
    code = (folder / "index.js").read_text(encoding="utf-8")
    types = (folder / "index.d.ts").read_text(encoding="utf-8")
    [config] = re.findall(r"^export interface (\w+)Config extends", types, re.MULTILINE)
    top = code[code.index("synthesizeHclAttributes() {\n        const attrs") :].partition("\n    }\n")[0]
    block = _block(code, types, f"{config}Config", top)
    for attribute, kind in COMPUTED.findall(code[code.rindex("\nclass ") :]):
        if kind.lower() in SIMPLE:
            block["attributes"][attribute] = {"type": SIMPLE[kind.lower()], "is": "computed"}
    block["attributes"].setdefault("id", {"type": "string", "is": "computed"})["is"] = "computed"
    return block


def _block(code: str, types: str, interface: str, entries: str) -> dict[str, Any]:
    """Read one block: its attributes, each required or optional, and the blocks in it."""
    [body] = re.findall(rf"^export interface {interface} .*?^\}}", types, re.MULTILINE | re.DOTALL)
    required = {
        name: mark == "" for name, mark in re.findall(r"#(\w+)\}\s*(?:\*[^/].*\s*)*\*/\s*readonly \w+(\??):", body)
    }
    found: dict[str, Any] = {"attributes": {}, "blocks": {}}
    for name, is_block, kind, storage in ENTRY.findall(entries):
        if is_block == "false":
            whether = "required" if required[name] else "optional"
            found["attributes"][name] = {"type": _type(kind, storage), "is": whether}
        elif name != "timeouts":
            inner = storage.removesuffix("List")
            function = inner[0].lower() + inner[1:]
            start = code.index(f"function {function}ToHclTerraform(")
            found["blocks"][name] = {"nesting": kind, **_block(code, types, inner, code[start:].partition("\n}\n")[0])}
    return found


def _type(kind: str, storage: str) -> Any:
    if kind == "simple":
        return SIMPLE[storage]
    inner = storage.removesuffix("List").removesuffix("Map")
    return [kind, SIMPLE[inner]]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
