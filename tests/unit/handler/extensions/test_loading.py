"""What is wrong with code of a user's own is said before the first request, with its name and the fix."""

import json
from pathlib import Path

import pytest

from handler import manifest
from handler.extensions import ExtensionError, loading
from handler.extensions.__main__ import main as check
from handler.models import Models
from handler.service import Service, vectors_sha256
from handler.settings import Settings
from tests.unit import fake_bundle
from tests.unit.handler.extensions.own_code import loaded, write

HELLO = "def hello(request, service):\n    return {}\n"


def route(key: str) -> str:
    return f"{HELLO}routes = {{{key}: hello}}\n"


REFUSED = [
    ("", "defines none of routes, authenticate"),
    (route('("GET", "/v1/embeddings")'), "has GET /v1/embeddings, a path of ours: take another, as /ext/embeddings"),
    (route('("POST", "/V1/Search")'), "has POST /V1/Search, a path of ours"),
    (route('("GET", "/k/abc/vectorize")'), "a path of ours"),
    (route('("GET", "/v1/models/mine")'), "a path of ours"),
    (route('("GET", "ext/hello")'), "has the path 'ext/hello': begin it with /"),
    (route('("GET", "/ext/../health")'), "has the path"),
    (route('("GET", "/ext/{proxy+}")'), "has the path"),
    (route('("get", "/ext/hello")'), "has the method 'get': write one of DELETE, GET"),
    (route('("OPTIONS", "/ext/hello")'), "has the method 'OPTIONS'"),
    (route('"/ext/hello"'), """has the key '/ext/hello': write ("GET", "/ext/hello")"""),
    ("routes = []\n", "routes is not a dict"),
    ('routes = {("GET", "/ext/a"): 3}\n', "routes[GET /ext/a] is not a function"),
    ("async def authenticate(request):\n    return 'a'\n", "authenticate is async or a generator"),
    ("def metrics(request, response):\n    yield 1\n", "metrics is async or a generator"),
    ("def authenticate(request, context):\n    return 'a'\n", "authenticate takes 2 arguments: it is called with 1"),
    ("def preprocess_text(text, *, model):\n    return text\n", "preprocess_text takes 1 arguments"),
    ("authenticate = 'everybody'\n", "authenticate is not a function"),
    ("def preproces_text(text, model):\n    return text\n", "did you mean preprocess_text? begin the name of a helper"),
    ("route = {}\n", "route is not a name that is called: did you mean routes?"),
    ("PREPROCESSING = 'a b'\ndef preprocess_text(text, model):\n    return text\n", "PREPROCESSING is not 1 to 64"),
    ("PREPROCESSING = 'a'\n" + route('("GET", "/ext/a")'), "PREPROCESSING is there without preprocess_image"),
]


@pytest.mark.parametrize(("init", "said"), REFUSED)
def test_what_is_wrong_is_refused_by_name_with_the_fix(tmp_path: Path, init: str, said: str) -> None:
    with pytest.raises(ExtensionError) as refused:
        loaded(tmp_path, init)
    assert said in str(refused.value)


def test_helpers_constants_imports_and_other_modules_are_nobody_s_business(tmp_path: Path) -> None:
    init = """
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from handler.extensions import ApiError, Request, Response, Service
from handler_ext.greeting import hello

LIMITS = {"a": 1}
WORDS = ("a", "b")

class Words(dict):
    pass

def _helper(text):
    return text

routes = {("GET", "/ext/hello"): hello, ("POST", "/ext/hello"): hello, ("GET", "/shop/v1.2/a_b~c"): partial(hello)}
authenticate = lambda request: "everybody"
"""
    found = loaded(tmp_path, init, greeting=HELLO)
    assert {path: sorted(methods) for path, methods in found.routes.items()} == {
        "/ext/hello": ["GET", "POST"],
        "/shop/v1.2/a_b~c": ["GET"],
    }
    assert found.authenticate is not None
    assert (found.changes, found.preprocessing) == ([], "")


IMPORTS = [
    ("import json\nraise ValueError('sk-secret')\n", "ValueError at handler_ext/__init__.py:2 in <module>"),
    ("import sys\nsys.exit('sk-secret')\n", "SystemExit at handler_ext/__init__.py:2"),
    ("from handler_ext import other\n", "KeyError at handler_ext/other.py:2 in work"),
    ("def (\n", "SyntaxError at handler_ext/__init__.py:1"),
    (
        "import no_such_package.part\n",
        "imports no_such_package, which is not there: name it in handler_ext/requirements",
    ),
    ("from handler_ext import nothing\n", "ImportError at handler_ext/__init__.py:1"),
]


@pytest.mark.parametrize(("init", "said"), IMPORTS)
def test_a_function_whose_extension_cannot_be_imported_is_not_ready_and_says_where_without_a_secret(
    tmp_path: Path, init: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    from handler.http import dispatch

    other = "def work():\n    return {}['sk-secret']\nwork()\n"
    place = write(tmp_path, init=init, other=other)
    bundle = fake_bundle.write(tmp_path / "bundle")
    environ = {"OPENCLIP_BUNDLE_DIR": str(bundle), "OPENCLIP_EXTENSIONS": str(place)}
    service = Service.start({**environ, "OPENCLIP_CACHE_DIR": str(tmp_path / "cache")})

    asked = [dispatch.handle(service, {"input": "a"}, None)["error"]]
    for path in ("/health", "/ext/hello", "/v1/models"):
        event = {"version": "2.0", "rawPath": path, "requestContext": {"http": {"method": "GET"}}}
        answer = dispatch.handle(service, event, None)
        assert answer["statusCode"] == 503, path
        asked.append(answer["body"])

    assert all(said.partition(":")[0] in str(one) for one in asked), asked
    assert said in caplog.text.replace("\n", " ")
    assert "sk-secret" not in str(asked) + caplog.text


def test_a_folder_that_is_not_there_is_said_and_none_turns_it_off(tmp_path: Path) -> None:
    bundle = fake_bundle.write(tmp_path / "bundle")
    environ = {"OPENCLIP_BUNDLE_DIR": str(bundle), "OPENCLIP_CACHE_DIR": str(tmp_path / "cache")}
    missing = Service.start({**environ, "OPENCLIP_EXTENSIONS": str(tmp_path / "nothing")})
    assert "has no __init__.py" in str(missing.problem)
    assert Service.start({**environ, "OPENCLIP_EXTENSIONS": "none"}).extension is None
    assert Service.start(environ).extension is None


def test_vectors_have_the_same_name_with_and_without_a_loaded_model(tmp_path: Path) -> None:
    place = write(tmp_path, init="def preprocess_text(text, model):\n    return text.lower()\n")
    bundle = fake_bundle.write(tmp_path / "bundle")
    environ = {"OPENCLIP_BUNDLE_DIR": str(bundle), "OPENCLIP_CACHE_DIR": str(tmp_path / "cache")}
    settings = Settings.from_env({**environ, "OPENCLIP_EXTENSIONS": str(place)})
    extension = loaded(tmp_path, (place / "__init__.py").read_text())
    models = Models(manifest.load(bundle), settings, extension=extension)
    assert vectors_sha256(settings) == models.vectors_sha256() != models.manifest.sha256
    assert vectors_sha256(Settings.from_env(environ)) == models.manifest.sha256


def test_vectors_are_told_apart_by_what_changes_them_and_by_nothing_else(tmp_path: Path) -> None:
    bundle = manifest.load(fake_bundle.write(tmp_path / "bundle"))
    change = "def preprocess_text(text, model):\n    return text.lower()\n"
    named = f"PREPROCESSING = 'lower-1'\n{change}"
    found = {
        name: bundle.vectors_sha256(loaded(tmp_path / name, init).preprocessing)
        for name, init in {
            "route": route('("GET", "/ext/a")'),
            "text": change,
            "other text": change.replace("lower", "upper"),
            "named": named,
            "named, and a route": named + route('("GET", "/ext/a")'),
        }.items()
    }
    assert found["route"] == bundle.sha256
    assert found["named"] == found["named, and a route"]
    assert len(set(found.values())) == 4


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise PermissionError(13, "Permission denied", "/var/task/handler_ext/words.py")

    monkeypatch.setattr(loading, "tree_sha256", fail)
    with pytest.raises(ExtensionError, match=r"words\.py cannot be read \(Permission denied\): make all"):
        loaded(tmp_path, route('("GET", "/ext/a")'))


def test_the_check_of_a_folder_is_one_document_whatever_the_code_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCLIP_BUNDLE_DIR", str(fake_bundle.write(tmp_path / "bundle")))
    place = write(tmp_path, init="print('hello')\n" + route('("GET", "/ext/a")'))
    assert check([str(place)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["routes"], len(report["vectors_sha256"])) == (True, {"/ext/a": ["GET"]}, 64)
    assert check([str(tmp_path / "nothing")]) == 1
    assert "has no __init__.py" in json.loads(capsys.readouterr().out)["reason"]
