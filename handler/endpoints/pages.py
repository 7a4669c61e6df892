"""The HTML pages: each is one response, and allows only scripts and styles by hash. Images of a search come from S3."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from handler.messages import Response
from handler.settings import Settings

CACHE_CONTROL = "public, max-age=300"  # a page is the same for everybody, and may change with a deployment
FOLDER = Path(__file__).with_name("playground")
LANGUAGES = ("en", "zh")
STYLES = ("base.css", "results.css", "search.css")
VIEWS = ("heatmap.js", "matches.js", "notices.js", "models.js", "code.js", "request.js", "zero_shot.js", "compare.js")
SCRIPTS = ("text.js", "api.js", "images.js", "examples.js", "tabs.js", *VIEWS, "hits.js", "search.js", "main.js")
# The hosts of presigned S3 URLs, from which the search tab loads images of a bucket.
S3 = "https://*.amazonaws.com https://*.amazonaws.com.cn"


def playground(settings: Settings) -> Response:
    """Return the playground, which calls this API.

    `data-search` tells the page that there is an index: otherwise it has no search tab, and sends no such requests.
    """
    texts = ", ".join(f"{name}: {_read(f'texts.{name}.json')}" for name in LANGUAGES)
    script = "\n".join([f"const TEXTS = {{ {texts} }};", *(_read(name) for name in SCRIPTS)])
    if settings.search:
        return _page("openclip-lambda", _read("index.html"), STYLES, script, " data-search", f" {S3}")
    return _page("openclip-lambda", _read("index.html"), STYLES, script)


def docs(document: Mapping[str, Any]) -> Response:
    """Return the API's OpenAPI document as a page, with a form to try each operation."""
    from handler.endpoints import reference

    script = "\n".join(_read(name) for name in ("api.js", "docs.js"))
    return _page("openclip-lambda: the API", reference.body(document), ("base.css", "docs.css"), script)


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _page(
    title: str, body: str, styles: Sequence[str], script: str, attributes: str = "", images: str = ""
) -> Response:
    style = "\n".join(_read(name) for name in styles)
    content = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="icon" href="{ICON}"><style>{style}</style></head><body{attributes}>{body}'
        f'<script type="module">{script}</script></body></html>'
    )
    policy = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "img-src": f"'self' data: blob:{images}",
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
