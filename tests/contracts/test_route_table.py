"""Routes: one table in the handler. Gateway, local server, document, playground, client and README hold to it."""

import re
from pathlib import Path

from openclip_lambda import address

from handler.endpoints import openapi
from handler.http import cors, routes
from handler.search.routes import table
from handler.search.settings import SearchSettings
from handler.settings import Settings
from infra import api
from layer.doctor.checks import address as doctor
from tests.contracts.agreement import agree

ROOT = Path(__file__).parents[2]
TABLE = "handler/http/routes.py"
ANSWERED = {path: sorted(methods) for path, methods in routes.ROUTES.items()}
PLAYGROUND = ROOT / "handler" / "endpoints" / "playground"
CLIENT = ROOT / "client" / "src" / "openclip_lambda"
# Where an index is served beside the API.
SEARCHED = {path: sorted(methods) for path, methods in table(SearchSettings("none"), True).routes.items()}


def sources(folder: Path, pattern: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob(pattern)))


def test_the_routes_of_the_gateway() -> None:
    answered = {path: [*methods] for path, methods in ANSWERED.items()}
    for method, path in routes.SAME:
        answered[path].append(method)
    deployed = {
        path.replace("{proxy+}", "{model}"): sorted({method.value for method in methods} - {"HEAD"})
        for path, methods in api.ROUTES.items()
    }
    agree("routes and their methods", {TABLE: answered, "infra/api.py": deployed})
    agree(
        "paths that are posted to as another is",
        {TABLE: routes.SAME, "infra/api.py": {("POST", path): other for path, other in api.SAME.items()}},
    )


def test_the_routes_of_the_published_document() -> None:
    paths = openapi.document((), Settings())["paths"]
    html = {"/", "/docs"}  # pages for people
    described = {path: sorted(method.upper() for method in methods) for path, methods in paths.items()}
    agree(
        "routes and their methods",
        {
            TABLE: {path: methods for path, methods in ANSWERED.items() if path not in html},
            "handler/endpoints/openapi.py": described,
        },
    )


def test_the_routes_that_ask_for_no_credential() -> None:
    agree(
        "paths that ask for no credential",
        {TABLE: sorted(routes.PAGES), "infra/api.py": sorted(api.PAGES)},
    )


def test_the_routes_that_the_playground_asks() -> None:
    script = sources(PLAYGROUND, "*.js")
    posted = re.findall(r'request\(.*?, "([\w/]+)", body', script)
    read = re.findall(r'ask\("([\w/]+)"\)', script)
    asked = {path: ["POST"] for path in posted} | {path: ["GET"] for path in read}
    assert len(asked) >= 3
    agree(
        "routes that the playground asks",
        {
            "handler/endpoints/playground/": {f"/{path}": methods for path, methods in asked.items()},
            TABLE: {
                f"/{path}": sorted(set(methods) & set(SEARCHED.get(f"/{path}", ()))) for path, methods in asked.items()
            },
        },
    )


def test_the_routes_that_client_and_doctor_ask() -> None:
    for place, text in (
        ("client/src/openclip_lambda/", sources(CLIENT, "*.py")),
        ("layer/doctor/checks/address.py", Path(doctor.__file__).read_text(encoding="utf-8")),
    ):
        asked = set(re.findall(r'["}](/(?:v1/[a-z]+|health|meta|vectorize))\b', text))
        assert asked, place
        agree(f"routes that {place} asks", {place: sorted(asked), TABLE: sorted(asked & set(ANSWERED))})


def test_the_endings_that_the_client_takes_off_an_address() -> None:
    shown = {"/v1", "/v1/embeddings", "/health", "/docs", "/openapi.json"}  # by documents, other clients and browsers
    routes_too = {*ANSWERED, "/v1"} & {*address.ENDINGS}
    agree(
        "what may stand behind the base of an address",
        {TABLE: sorted(shown | routes_too), "client/src/openclip_lambda/address.py": sorted(address.ENDINGS)},
    )


def test_the_routes_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(GET|POST) (/[\w./-]*)`", readme))
    table = {(method, path) for path, methods in ANSWERED.items() for method in methods}
    agree(
        "routes that the README names",
        {"README.md": sorted(named), TABLE: sorted(named & table)},
    )


def test_the_headers_that_a_page_may_read() -> None:
    """Behind a gateway with CORS the function's own list is not used; both have to name what every response has."""
    listed = api._cors(("https://example.com",))
    assert listed is not None
    assert set(listed.expose_headers or ()) == set(cors.EXPOSED.split(", "))
    dispatch = (ROOT / "handler" / "http" / "dispatch.py").read_text(encoding="utf-8")
    assert set(re.findall(r'"(x-[a-z-]+)":', dispatch)) <= set(cors.EXPOSED.split(", "))
