"""CORS: pages of other origins may call from a browser only if the settings name these origins."""

from collections.abc import Iterable

from handler.messages import Request, Response
from handler.settings import Settings

MAX_AGE_SECONDS = 7_200  # the most that Chromium keeps
# Any: clients add their own, as openai's package for JavaScript adds x-stainless-os, and the origin is one that the
# settings name. `*` is all but authorization, which browsers want by its name (Fetch: "CORS-preflight fetch").
HEADERS = "authorization, *"
EXPOSED = "server-timing, x-openclip-cold, x-openclip-full, x-openclip-manifest, x-request-id"


def allowed(methods: Iterable[str]) -> str:
    """Name the methods of a route as an Allow header does."""
    names = sorted(methods)
    return ", ".join([*names, *(["HEAD"] if "GET" in names else []), "OPTIONS"])


def preflight(request: Request, methods: Iterable[str], settings: Settings) -> Response:
    """Answer OPTIONS: what the route takes, and to a browser whether a page of that origin may send it."""
    headers = {"allow": allowed(methods)}
    if "access-control-request-method" in request.headers and _permits(request, settings):
        headers |= {
            "access-control-allow-methods": allowed(methods),
            "access-control-allow-headers": HEADERS,
            "access-control-max-age": str(MAX_AGE_SECONDS),
        }
    return Response(204, {}, headers)


def add(response: Response, request: Request, settings: Settings) -> Response:
    """Let a page of an allowed origin read the response."""
    if not settings.cors_origins:
        return response
    everybody = "*" in settings.cors_origins
    before = response.headers.get("vary")  # of a route of the deployment's own
    headers = {} if everybody else {"vary": f"{before}, origin" if before else "origin"}
    if _permits(request, settings):
        headers["access-control-expose-headers"] = EXPOSED
        headers["access-control-allow-origin"] = "*" if everybody else request.headers["origin"]
    return response._replace(headers={**response.headers, **headers})


def _permits(request: Request, settings: Settings) -> bool:
    origin = request.headers.get("origin")
    return origin is not None and bool({"*", origin} & set(settings.cors_origins))
