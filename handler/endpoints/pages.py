"""The pages for people: each one response, without another host, and nothing that its own hash does not allow."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from handler.endpoints import openapi
from handler.manifest import ModelEntry
from handler.messages import Response
from handler.settings import Settings

CACHE_CONTROL = "public, max-age=300"  # the same for everybody, and another one after a deployment
FOLDER = Path(__file__).with_name("playground")
STYLES = ("base.css", "results.css")
VIEWS = ("heatmap.js", "matches.js", "zero_shot.js", "notices.js")
SCRIPTS = ("api.js", "images.js", "examples.js", *VIEWS, "curl.js", "main.js")


def playground() -> Response:
    """Return the playground: it asks this very API, so it needs no data of its own."""
    body = _read("index.html")
    return _page("openclip-lambda", body, "\n".join(_read(name) for name in SCRIPTS))


def docs(entries: Sequence[ModelEntry], settings: Settings, image_formats: Sequence[str] = ()) -> Response:
    """Return the API's document as a page to read: no script."""
    document = openapi.document(entries, settings, image_formats)
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
    body = (
        f'<main class="docs"><h1>{info["title"]}</h1><p>{_prose(info["description"])}</p>'
        '<p><a href=".">Playground</a> · <a href="openapi.json">openapi.json</a> (OpenAPI 3.1)</p>'
        f"{sections}<h2>Bodies</h2>{schemas}</main>"
    )
    return _page("openclip-lambda: the API", body, "")


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<li><code>{one['name']}</code> in the query: {_prose(one['description'])}</li>"
        for one in operation.get("parameters", [])
    )
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    examples = "".join(
        f"<h3>{title}</h3>{_json(example['value'])}" for title, example in content.get("examples", {}).items()
    )
    names = [name.rpartition("/")[2] for name in _references(content.get("schema", {}))]
    body = "Body: " + " or ".join(f'<a href="#{name}"><code>{name}</code></a>' for name in names) if names else ""
    statuses = ", ".join(f"<code>{status}</code>" for status in operation["responses"])
    return (
        f'<section><h2><span class="method">{method.upper()}</span> <code>{path}</code></h2>'
        f"<p>{_prose(operation['summary'])}. {body}</p><ul>{parameters}</ul>{examples}"
        f"<p>Answers: {statuses}</p></section>"
    )


def _references(schema: dict[str, Any]) -> list[str]:
    return [one["$ref"] for one in schema.get("anyOf", [schema]) if "$ref" in one]


def _prose(text: str) -> str:
    """Escape a text, and show what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def _json(value: Any) -> str:
    import json

    return f"<pre>{escape(json.dumps(value, ensure_ascii=False, indent=2))}</pre>"


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _page(title: str, body: str, script: str) -> Response:
    style = "\n".join(_read(name) for name in STYLES)
    content = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="icon" href="{ICON}"><style>{style}</style></head><body>{body}'
        + (f'<script type="module">{script}</script>' if script else "")
        + "</body></html>"
    )
    policy = {
        "default-src": "'none'",
        "script-src": _hash(script) if script else "'none'",
        "style-src": _hash(style),
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": CACHE_CONTROL,
    }
    return Response(200, content, headers, "text/html; charset=utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"


# Inline, so that the browser asks for no favicon: four squares of a heatmap.
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='7' height='7' rx='1.5' fill='%234f46e5'/%3E%3Crect x='9' width='7' height='7' rx='1.5' "
    "fill='%23a5b4fc'/%3E%3Crect y='9' width='7' height='7' rx='1.5' fill='%23c7d2fe'/%3E"
    "%3Crect x='9' y='9' width='7' height='7' rx='1.5' fill='%234338ca'/%3E%3C/svg%3E"
)
