"""The API's document as a page: what each operation takes, and a form that sends it from the page itself."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any


def body(document: Mapping[str, Any]) -> str:
    """Return the page's HTML. Without script it can be read; the forms appear with `playground/docs.js`."""
    sections = "".join(
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(
        f'<details id="{name}"><summary><code>{name}</code></summary>{_json(schema)}</details>'
        for name, schema in document["components"]["schemas"].items()
    )
    info = document["info"]
    return (
        f'<main class="docs"><h1>{info["title"]}</h1><p>{_prose(info["description"])}</p>'
        '<p><a href=".">Playground</a> · <a href="openapi.json">openapi.json</a> (OpenAPI 3.1)</p>'
        f"{KEY}{sections}<h2>Bodies</h2>{schemas}</main>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<li><code>{one['name']}</code> in the {one['in']}: {_prose(one['description'])}</li>"
        for one in operation.get("parameters", [])
    )
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    examples = "".join(
        f'<details class="example"><summary>Example: {title}</summary>{_json(example["value"])}</details>'
        for title, example in content.get("examples", {}).items()
    )
    names = [name.rpartition("/")[2] for name in _references(content.get("schema", {}))]
    body = "Body: " + " or ".join(f'<a href="#{name}"><code>{name}</code></a>' for name in names) if names else ""
    statuses = ", ".join(f"<code>{status}</code>" for status in operation["responses"])
    return (
        f'<section><h2><span class="method">{method.upper()}</span> <code>{path}</code></h2>'
        f"<p>{_prose(operation['summary'])}. {body}</p><ul>{parameters}</ul>{examples}"
        f"<p>Answers: {statuses}</p>{_form(path, method, operation)}</section>"
    )


def _form(path: str, method: str, operation: dict[str, Any]) -> str:
    """Return the form that sends an operation; none where the body is another than JSON."""
    content = operation.get("requestBody", {}).get("content", {})
    if content and "application/json" not in content:
        return ""
    name = f"{method.upper()} {path}"
    fields = "" if content else "".join(_parameter(name, one) for one in operation.get("parameters", []))
    if content:
        titles = "".join(f"<option>{title}</option>" for title in content["application/json"].get("examples", {}))
        fields = (
            f'<p><select class="examples" aria-label="Example for {name}">{titles}</select></p>'
            f'<textarea aria-label="Body of {name}" rows="2" spellcheck="false"></textarea>'
        )
    return (
        f'<form class="try" data-method="{method.upper()}" data-path="{path.lstrip("/")}" hidden>{fields}'
        f'<button type="submit" aria-label="Send {name}">Send</button> <span class="quiet" role="status"></span>'
        f'<pre tabindex="0" role="region" aria-label="Answer to {name}" hidden></pre></form>'
    )


def _parameter(operation: str, one: dict[str, Any]) -> str:
    name, values = one["name"], one["schema"].get("enum", [])
    free = () if one.get("required") else ("",)
    options = "".join(f"<option>{value}</option>" for value in (*free, *values))
    label = f'aria-label="{name} of {operation}" name="{name}"'
    field = f"<select {label}>{options}</select>" if values else f"<input {label}>"
    return f"<p><code>{name}</code> {field}</p>"


def _references(schema: dict[str, Any]) -> list[str]:
    return [one["$ref"] for one in schema.get("anyOf", [schema]) if "$ref" in one]


def _prose(text: str) -> str:
    """Escape a text, and show what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, ensure_ascii=False, indent=2))}</pre>"


KEY = (
    '<form class="panel" id="key-panel" hidden><label for="key">API key</label>'
    '<input id="key" type="password" autocomplete="off" spellcheck="false">'
    '<button type="submit">Use it</button><button type="button" class="plain" id="key-forget">Forget it</button>'
    '<p class="quiet" id="key-about" role="status">Where the API asks for one. '
    "Kept in this tab until it is closed, and sent to this host alone.</p></form>"
)
