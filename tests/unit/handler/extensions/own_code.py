"""Functions with code of a user's own beside them."""

import base64
import json
from pathlib import Path
from typing import Any

from handler import manifest
from handler.extensions import Extension
from handler.extensions.loading import load
from handler.http import dispatch
from handler.models import Models
from handler.service import Service
from handler.settings import Settings
from tests.unit import fake_bundle
from tests.unit.fake_bundle import Loader


def write(folder: Path, **files: str) -> Path:
    """Write `handler_ext` with an `__init__.py` (`init`) and other modules by their names."""
    place = folder / "handler_ext"
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / ("__init__.py" if name == "init" else f"{name}.py")).write_text(text, encoding="utf-8")
    return place


def loaded(folder: Path, init: str, **files: str) -> Extension:
    return load(str(write(folder, init=init, **files)))


class Extended:
    """A deployed function with an extension, asked through an HTTP API."""

    def __init__(self, folder: Path, init: str, **settings_: Any) -> None:
        self.extension = loaded(folder, init)
        bundle = fake_bundle.write(folder / "bundle")
        settings = Settings(bundle_dir=bundle, **settings_)
        self.loader = Loader()
        models = Models(manifest.load(bundle), settings, self.loader, self.extension)
        self.service = Service(settings, models, extension=self.extension)

    def event(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, query: str = ""
    ) -> dict[str, Any]:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {"content-type": "application/json", **(headers or {})},
            "requestContext": {"http": {"method": method}, "stage": "$default"},
            "body": base64.b64encode(data).decode(),
            "isBase64Encoded": True,
        }

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        answer = dispatch.handle(self.service, self.event(method, path, body, **more), None)
        return answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None
