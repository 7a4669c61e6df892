"""Code of the user's own at the gateway: its routes with credentials, its vectors apart, and nothing that is stale."""

import json
from pathlib import Path
from typing import Any

import pytest

from handler.http import dispatch
from handler.service import Service
from infra import package as infra_package
from infra.errors import PackageError
from infra.package import read_package
from tests.infra import conftest, fake_build
from tests.infra.conftest import resources
from tests.infra.watching import Point, embedded, fired
from tests.unit.handler.extensions.own_code import Extended, write

HANDLER = fake_build.ROOT / "handler"


def extended(project: Path, routes: dict[str, list[str]] | None = None, vectors: str | None = None) -> Path:
    """Write a project with code of its own, and its build."""
    source = project / "handler_ext"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("routes = {}\n")
    (project / "build").mkdir()
    build = fake_build.write(project / "build")
    contract = json.loads((build / "package.json").read_text())
    contract["extension"] = {
        "sha256": infra_package.tree_sha256(source),
        "source": "../handler_ext",
        "routes": routes or {"/ext/hello": ["GET", "PUT"]},
        "vectors_sha256": vectors or contract["manifest_sha256"],
    }
    (build / "package.json").write_text(json.dumps(contract))
    return build


def template(build: Path, out: Path, **context: Any) -> conftest.Template:
    return conftest.synthesized(build, out, context)


def test_own_routes_reach_the_function_with_credentials_and_pages_of_other_origins_may_ask_them(tmp_path: Path) -> None:
    found = template(extended(tmp_path / "shop"), tmp_path / "out", cors_origins="https://app.example")

    routes = {one["RouteKey"]: one for one in resources(found, "AWS::ApiGatewayV2::Route")}
    own = {key: one["AuthorizationType"] for key, one in routes.items() if key.endswith(" /ext/hello")}
    assert own == {"GET /ext/hello": "CUSTOM", "HEAD /ext/hello": "CUSTOM", "PUT /ext/hello": "CUSTOM"}
    assert routes["PUT /ext/hello"]["Target"] == routes["POST /v1/embeddings"]["Target"]
    [api] = resources(found, "AWS::ApiGatewayV2::Api")
    assert api["CorsConfiguration"]["AllowMethods"] == ["GET", "HEAD", "POST", "PUT"]


def test_code_that_was_changed_since_is_not_deployed_and_hidden_files_are_no_part_of_it(tmp_path: Path) -> None:
    build = extended(tmp_path / "shop")
    source = tmp_path / "shop" / "handler_ext"
    (source / ".swp").write_text("")
    assert read_package(build, HANDLER).own_routes == {"/ext/hello": ("GET", "PUT")}
    (source / "__init__.py").write_text("routes = {1: 2}\n")
    with pytest.raises(PackageError, match=r"handler_ext has changed since it was packaged: .* --extensions"):
        read_package(build, HANDLER)


def test_a_package_without_the_code_that_lies_beside_it_is_not_deployed(tmp_path: Path) -> None:
    build = extended(tmp_path / "shop")
    contract = json.loads((build / "package.json").read_text())
    del contract["extension"]
    (build / "package.json").write_text(json.dumps(contract))
    with pytest.raises(PackageError, match="handler_ext is there, and the package was made without it"):
        read_package(build, HANDLER)
    (tmp_path / "shop" / "handler_ext" / "__init__.py").unlink()
    assert read_package(build, HANDLER).own_routes == {}


@pytest.mark.parametrize("routes", [{"/ext/{proxy+}": ["GET"]}, {"/ext/a": ["ANY"]}, {"/ext/../health": ["GET"]}, []])
def test_a_route_that_no_gateway_should_have_is_refused(tmp_path: Path, routes: Any) -> None:
    build = extended(tmp_path / "shop")
    contract = json.loads((build / "package.json").read_text())
    contract["extension"]["routes"] = routes
    (build / "package.json").write_text(json.dumps(contract))
    with pytest.raises(PackageError, match="run `make package`"):
        read_package(build, HANDLER)


def test_a_route_of_ours_is_never_taken_over(tmp_path: Path) -> None:
    build = extended(tmp_path / "shop", {"/v1/embeddings": ["GET"]})
    with pytest.raises(PackageError, match="/v1/embeddings is one of ours"):
        template(build, tmp_path / "out")


@pytest.mark.parametrize("own", [True, False])
def test_an_index_is_of_one_kind_of_vectors(tmp_path: Path, own: bool) -> None:
    """Its files' names begin with what the manifest calls its vectors, not with the hash of the manifest."""
    context = {"batch_source": "photos", "search": "lance"}
    if own:
        build = extended(tmp_path / "shop", vectors="ab" * 32)
    else:
        build = fake_build.write(tmp_path / "build", vectors_sha256="ab" * 32)
    found = template(build, tmp_path / "out", **context)
    [pattern] = [
        json.dumps(one["EventPattern"])
        for one in resources(found, "AWS::Events::Rule")
        if "run=arrivals" in json.dumps(one.get("EventPattern", {}))
    ]
    assert f"vectors/model={'ab' * 6}/run=arrivals/" in pattern


def test_code_that_fails_sets_off_its_alarm_and_code_that_cannot_be_imported_the_one_for_what_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = template(
        extended(tmp_path / "shop"), tmp_path / "out", alarm_topic_arn="arn:aws:sns:eu-west-1:111122223333:alarms"
    )
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", function_name(found))
    code = "def hello(request, service):\n    return 1 / 0\nroutes = {('GET', '/ext/hello'): hello}\n"
    function = Extended(tmp_path / "fine", code)
    assert function.ask("GET", "/ext/hello")[0] == 500
    assert fired(found, points(capsys)) == {"ExtensionFailures"}

    broken = write(tmp_path / "broken", init="1 / 0\n")
    environ = {"OPENCLIP_BUNDLE_DIR": str(tmp_path / "fine" / "bundle"), "OPENCLIP_EXTENSIONS": str(broken)}
    dispatch.handle(Service.start(environ), function.event("GET", "/health"), None)
    assert fired(found, points(capsys)) == {"NotReady"}


def function_name(found: conftest.Template) -> str:
    [name] = [key for key, item in found["Resources"].items() if item["Properties"] == conftest.the_function(found)]
    return str(name)


def points(capsys: pytest.CaptureFixture[str]) -> list[Point]:
    return [one for line in capsys.readouterr().out.splitlines() for one in embedded(line)]
