"""The routes of the search function, and of a local server that has an index beside the API."""

from typing import Any

from handler.endpoints import pages
from handler.errors import ApiError
from handler.http import routes
from handler.http.routes import Table
from handler.messages import Request, Response
from handler.search import openapi
from handler.search.backends import open_index
from handler.search.endpoint import Search
from handler.search.settings import SearchSettings
from handler.service import Service


def table(settings: SearchSettings, beside_api: bool = False) -> Table:
    """Return the search's routes, with all of the API's where it stands beside the API. Nothing is opened yet."""
    search = Search(open_index(settings.place), settings)

    def document(service: Service, _: Request) -> Response:
        text = openapi.text(service.entries(), service.settings, beside_api, service.extension)
        return Response(200, text, {"cache-control": pages.CACHE_CONTROL}, "application/json")

    def docs(service: Service, _: Request) -> Response:
        return pages.docs(openapi.document(service.entries(), service.settings, beside_api, service.extension))

    def invoke(service: Service, event: Any) -> Response:
        return search.find(service, event)

    others = routes.ROUTES if beside_api else {path: routes.ROUTES[path] for path in openapi.SHARED}
    found: dict[str, dict[str, routes.Endpoint]] = {
        **others,
        "/v1/search": {"POST": search.search},
        "/v1/index": {"POST": search.change, "GET": search.tell},
        "/openapi.json": {"GET": document},
        **({"/docs": {"GET": docs}} if beside_api else {}),
    }
    return Table(found, routes.invoke if beside_api else invoke)


def refusing(reason: str) -> Table:
    """Return the routes of a function that was deployed wrong: they say why, which an init that dies tells nobody."""

    def refuse(service: Service, _: Any) -> Response:
        raise ApiError("not_ready", reason)

    search = {"/v1/search": {"POST": refuse}, "/v1/index": {"POST": refuse, "GET": refuse}}
    return Table({**{path: routes.ROUTES[path] for path in openapi.SHARED}, **search}, refuse)
