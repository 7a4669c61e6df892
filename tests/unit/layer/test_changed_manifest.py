"""A manifest.json that was changed after the build: `verify` and `package` notice it, whatever the value."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from layer.bundle import build_cache, manifest
from layer.bundle.records import Golden
from layer.bundle.verify import check_files
from layer.errors import VerifyError
from tests.unit import manifests

GOLDEN = Golden(["a cat"], [[1, 2]], ["AACAPwAAAAA="], ["iVBORw0KGgo="], ["AAAAAAAAgD8="])


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle without files of its model, which the engine's loading would miss and the hashes do not."""
    facts = manifests.manifest_of([manifests.model("acme/clip", logit_bias=-12.5, golden=GOLDEN)], [])
    manifest.write_facts(tmp_path, facts)
    return tmp_path


def leaves(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, *path, key)
    else:
        yield path


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value or ''}a"


def test_no_value_can_be_changed_without_notice(bundle: Path) -> None:
    path = bundle / "manifest.json"
    written = path.read_text(encoding="utf-8")
    check_files(bundle)
    places = list(leaves(json.loads(written)))
    assert ("models", 0, "logit_scale") in places
    for place in places:
        data = json.loads(written)
        inner = data
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = other(inner[place[-1]])
        path.write_text(json.dumps(data), encoding="utf-8")
        with pytest.raises(VerifyError):
            check_files(bundle)


def test_the_message_says_what_was_changed_and_the_fix(bundle: Path) -> None:
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"embed_dim": 2', '"embed_dim": 4'))
    with pytest.raises(VerifyError, match=r"manifest\.json was changed: .*\n.*python -m layer build"):
        check_files(bundle)


def test_a_build_does_not_keep_it(bundle: Path) -> None:
    assert build_cache.unmodified(bundle)
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"embed_dim": 2', '"embed_dim": 4'))
    assert not build_cache.unmodified(bundle)


def test_order_and_spacing_are_no_values(bundle: Path) -> None:
    path = bundle / "manifest.json"
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    check_files(bundle)


def test_the_manifest_of_an_earlier_builder_has_no_such_digest(bundle: Path) -> None:
    path = bundle / "manifest.json"
    data = json.loads(path.read_text())
    del data["facts_sha256"]
    path.write_text(json.dumps(data))
    check_files(bundle)


def test_facts_that_are_read_and_written_again_are_as_written(bundle: Path) -> None:
    before = (bundle / "manifest.json").read_bytes()
    manifest.write_facts(bundle, manifest.read(bundle))
    assert (bundle / "manifest.json").read_bytes() == before
