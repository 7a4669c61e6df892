"""Routes of the deployment's own as `GET /openapi.json` lists them: path, method, and the function's own first line."""

from collections.abc import Callable
from types import FunctionType
from typing import Any

from handler.extensions import Extension
from handler.schemas import responses as described

UNNAMED = "A route of the deployment's own"
LONGEST = 120  # characters of a summary
WITH_BODY = ("PATCH", "POST", "PUT")
ANY_JSON: dict[str, Any] = {"content": {"application/json": {"schema": {}}}}


def paths(extension: Extension | None) -> dict[str, Any]:
    """Return the document's part on an extension's routes. What they take and return is not known here."""
    routes = extension.routes if extension else {}
    return {
        path: {method.lower(): _operation(method, path, function) for method, function in methods.items()}
        for path, methods in routes.items()
    }


def _operation(method: str, path: str, function: Callable[..., Any]) -> dict[str, Any]:
    return {
        "summary": _summary(function),
        "operationId": f"{method.lower()} {path}",  # unique, as a name made of letters alone would not be
        "tags": ["own"],
        **({"requestBody": ANY_JSON} if method in WITH_BODY else {}),
        "responses": {
            "default": {"description": "What the route returns; an error of this API has the shape of `Error`"},
            **described.refer(500, 503),
        },
    }


def _summary(function: Callable[..., Any]) -> str:
    """Return the first line of a function's docstring; a class's or a partial's would be about something else."""
    lines = (function.__doc__ or "").strip().splitlines() if isinstance(function, FunctionType) else []
    first = lines[0].strip().rstrip(".") if lines else ""
    return first if len(first) <= LONGEST and first.isprintable() and first else UNNAMED
