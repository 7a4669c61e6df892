"""`POST /predict` and `GET /ping` as immich's server asks its machine learning: the search by CLIP, and no other task.

A form has `entries`, JSON that names the task, the tower and the model, and `image` or `text`. The vector is answered
as a string of JSON. immich sends no credential: put the address where none is asked for.
"""

import json
from typing import Any

from handler.endpoints import health
from handler.endpoints.dialects import core
from handler.endpoints.dialects.form import read_form
from handler.endpoints.embeddings import floats
from handler.errors import ApiError, ModelNotFoundError, shorten
from handler.manifest import Manifest
from handler.messages import Request, Response
from handler.schemas.fields import TEXT, Item
from handler.schemas.validation import check_object, parse_json, wrong_type
from handler.service import Service

TASK = "clip"
TOWERS = {"visual": "image", "textual": "text"}


def respond(service: Service, request: Request) -> Response:
    """Answer either route. Raises ApiError."""
    if request.path == "/ping":
        answer = health.health(service)
        return Response(200, "pong", media_type="text/plain; charset=utf-8") if answer.status == 200 else answer
    form = read_form(request)
    tower, name = _entry(parse_json(_field(form, "entries"), "entries"))
    model = _model(name, service.models.manifest)
    item = _item(form, tower, service)
    found = core.embedded(service, [item], model, "float")
    body: dict[str, Any] = {TASK: json.dumps(floats(found.vectors[0]), separators=(",", ":"))}
    for image in core.image_facts([item]):
        body |= {"imageHeight": image.height, "imageWidth": image.width}
    return Response(200, body)


def error_body(error: ApiError) -> dict[str, Any]:
    """Return an error as immich's service does."""
    return core.listed(error)


def _entry(entries: Any) -> tuple[str, str]:
    """Return the tower and the model's name. Raises ApiError for what is not one search by CLIP."""
    tasks = check_object(entries, (TASK,), "entries")
    towers = check_object(tasks.get(TASK), tuple(TOWERS), f"entries.{TASK}")
    if len(towers) != 1:
        raise ApiError("invalid_value", f"entries.{TASK} must have one of {' and '.join(TOWERS)}", f"entries.{TASK}")
    [(tower, entry)] = towers.items()
    where = f"entries.{TASK}.{tower}"
    name = check_object(entry, ("modelName", "options"), where).get("modelName")
    if not isinstance(name, str):
        raise wrong_type(name, "a string", f"{where}.modelName")
    return tower, name


def _model(name: str, manifest: Manifest) -> str:
    """Return the id of the model that immich names, as `ViT-B-32__openai`. Raises ModelNotFoundError."""
    names = {entry.id: entry.id for entry in manifest.models}
    names |= {f"{entry.name}__{entry.pretrained}": entry.id for entry in manifest.models if entry.pretrained}
    if name not in names:
        raise ModelNotFoundError(name, tuple(names))
    return names[name]


def _item(form: dict[str, bytes], tower: str, service: Service) -> Item:
    content = _field(form, TOWERS[tower])
    if tower == "visual":
        if not content:
            raise ApiError("empty_input", "image is of no bytes", "image")
        return Item(content, "image")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ApiError("invalid_value", f"text is not UTF-8 ({error})", "text") from error
    return TEXT.read(text, "text", service.settings)


def _field(form: dict[str, bytes], name: str) -> bytes:
    if name not in form:
        raise ApiError("missing_input", f"the form has no {name}: it has {shorten(', '.join(form))}", name)
    return form[name]
