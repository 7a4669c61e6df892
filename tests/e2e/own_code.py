"""Code of a user's own, packaged with a bundle that was built already, and what it has to do once it is deployed."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.e2e.deployment import Deployment
from tests.e2e.packages import package

INIT = """
from handler.extensions import ApiError

PREPROCESSING = "sku-1"


def vectors(request, service):
    return {"by": request.principal, "vectors": service.embed(service.read_json(request)["texts"]).tolist()}


def authenticate(request):
    subject = request.authorizer["jwt"]["claims"]["sub"]
    if subject == "blocked":
        raise ApiError("not_permitted", "this subject may not call")
    return subject


def preprocess_text(text, model):
    return text.removeprefix("sku: ")


def metrics(request, response):
    return {"OwnRequests": 1} if request.path == "/ext/vectors" else {}


routes = {("POST", "/ext/vectors"): vectors}
"""


def packaged(build: Path, project: Path) -> Path:
    """Package a build's bundle anew, in a project folder that has code of its own."""
    (project / "handler_ext").mkdir()
    (project / "handler_ext" / "__init__.py").write_text(INIT)
    shutil.copytree(build / "bundle", project / "build" / "bundle", copy_function=os.link)
    return package(project / "build" / "bundle", project / "build", "--extensions", str(project / "handler_ext"))


def check(stack: Deployment, credentials: Callable[[str], dict[str, str]]) -> None:
    """Ask a stack that has this code; `credentials` are the headers of a caller by name."""
    asked = {"texts": ["sku: a red circle", "a red circle", "a blue star"]}
    before = stack.invocations()
    assert stack.call("/ext/vectors", asked).status == 401
    assert stack.invocations() == before

    reply = stack.call("/ext/vectors", asked, credentials("alice"))

    assert (reply.status, reply.json()["by"]) == (200, "alice"), reply.body
    changed, plain, other = reply.json()["vectors"]
    assert changed == plain
    assert plain != other
    refused = stack.call("/v1/embeddings", {"input": "a"}, credentials("blocked"))
    assert (refused.status, refused.json()["error"]["code"]) == (403, "not_permitted")
    lines = [json.loads(line) for line in stack.log_lines() if '"OwnRequests"' in line]
    assert {line["OwnRequests"] for line in lines} == {1}
    assert not [line for line in stack.log_lines() if "alice" in line]
