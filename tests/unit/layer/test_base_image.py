"""The pin of AWS's base image: asked of a registry as the OCI's distribution API has it, recorded, and built on."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from layer.errors import PackageError
from layer.package import base_image, image, refresh

INDEX = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}'
DIGEST = f"sha256:{hashlib.sha256(INDEX).hexdigest()}"
SCOPE = "repository:lambda/python:pull"


@dataclass
class Registry:
    """A registry that gives anybody a token, and a manifest to whoever has one."""

    url: str = ""
    digest: str | None = DIGEST
    challenge: str = 'Bearer realm="{url}/token/",service="registry.example",scope="{scope}"'
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def registry() -> Iterator[Registry]:
    told = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            if self.path.startswith("/token/"):
                wanted = {"service": ["registry.example"], "scope": [SCOPE]}
                right = parse_qs(urlsplit(self.path).query) == wanted
                self.reply(200 if right else 403, b'{"token": "anybody"}', {})
            elif self.headers.get("authorization") != "Bearer anybody":
                challenge = told.challenge.format(url=told.url, scope=SCOPE)
                self.reply(401, b"{}", {"www-authenticate": challenge})
            elif re.fullmatch(r"/v2/lambda/python/manifests/3\.1[234]", self.path):
                assert "application/vnd.oci.image.index.v1+json" in self.headers["accept"]
                self.reply(200, INDEX, {"docker-content-digest": told.digest} if told.digest else {})
            else:
                self.reply(404, b"{}", {})

        def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield told
        server.shutdown()


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "base_images.json"
    path.write_text("{}")
    monkeypatch.setattr(base_image, "RECORD", path)
    base_image.base.cache_clear()
    return path


@pytest.mark.parametrize("said", [DIGEST, None])  # the header is optional: the manifest's own sha256 is the digest
def test_the_digest_that_a_registry_has_is_recorded_and_built_on(
    registry: Registry, record: Path, tmp_path: Path, said: str | None
) -> None:
    registry.digest = said

    assert base_image.refresh(["3.13"], registry.url) == [f"public.ecr.aws/lambda/python:3.13: {DIGEST}"]

    assert json.loads(record.read_text()) == {"public.ecr.aws/lambda/python:3.13": DIGEST}
    image.write_dockerfile(tmp_path, "3.13")
    text = (tmp_path / "Dockerfile").read_text()
    assert f"ARG BASE=public.ecr.aws/lambda/python:3.13@{DIGEST}\n" in text
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
    assert base_image.refresh(["3.13"], registry.url) == [f"public.ecr.aws/lambda/python:3.13: {DIGEST} (as before)"]


def test_a_tag_without_a_record_is_pinned_to_what_the_registry_has_today(registry: Registry, record: Path) -> None:
    base = base_image.base("3.13", registry.url)

    assert base.pinned == f"public.ecr.aws/lambda/python:3.13@{DIGEST}"
    assert base.note == (
        f"public.ecr.aws/lambda/python:3.13 is pinned to {DIGEST}, which the registry has today: `make pins` records it"
    )
    assert record.read_text() == "{}"  # a package changes nothing of the checkout
    asked = len(registry.asked)
    assert base_image.base("3.13", registry.url) == base  # the same in each place of a package
    assert len(registry.asked) == asked


def test_without_a_registry_the_package_says_that_its_base_is_not_pinned_and_why(record: Path) -> None:
    base = base_image.base("3.13", "http://127.0.0.1:1")

    assert base.pinned == "public.ecr.aws/lambda/python:3.13"
    assert base.digest is None
    assert re.search(r"no digest .* is recorded and the registry cannot be asked.*gave no manifest", str(base.note))


def test_a_manifest_that_is_not_what_its_registry_says_is_not_recorded(registry: Registry, record: Path) -> None:
    registry.digest = "sha256:" + "0" * 64

    with pytest.raises(PackageError, match="says that its manifest is sha256:0000"):
        base_image.refresh(["3.13"], registry.url)
    assert record.read_text() == "{}"


@pytest.mark.parametrize(
    "challenge",
    [
        'Basic realm="x"',
        "",
        'Bearer realm="file:///etc/passwd"',
        'Bearer realm="http://elsewhere.example/token"',
    ],
)
def test_a_token_is_asked_for_in_the_one_way_that_is_known(registry: Registry, record: Path, challenge: str) -> None:
    registry.challenge = challenge

    with pytest.raises(PackageError, match="asks for credentials in a way that is not known"):
        base_image.refresh(["3.13"], registry.url)
    assert len(registry.asked) == 1


def test_a_registry_that_cannot_be_reached_or_has_no_such_tag_is_reported_with_the_way_around(
    registry: Registry, record: Path
) -> None:
    for url, python in (("http://127.0.0.1:1", "3.13"), (registry.url, "3.99")):
        with pytest.raises(PackageError, match=r"gave no manifest .*docker buildx imagetools inspect public\.ecr"):
            base_image.refresh([python], url)
    assert record.read_text() == "{}"


@pytest.mark.parametrize("content", ["{", "[]", '{"public.ecr.aws/lambda/python:3.13": "latest"}'])
def test_a_damaged_record_is_named(record: Path, content: str) -> None:
    record.write_text(content)

    with pytest.raises(PackageError, match=r"base_images\.json"):
        base_image.base("3.13")


def test_the_record_that_ships_is_sound() -> None:
    for name, digest in base_image._recorded().items():
        assert re.fullmatch(r"public\.ecr\.aws/lambda/python:3\.\d+", name)
        assert base_image.DIGEST.fullmatch(digest)


def test_the_command_that_records_ends_in_one_message(
    record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(base_image, "refresh", lambda _: base_image.ask("http://127.0.0.1:1", "lambda/python", "3.13"))

    assert refresh.main(["base"]) == 1
    assert capsys.readouterr().err.startswith("error: http://127.0.0.1:1/v2/lambda/python/manifests/3.13 gave no")
