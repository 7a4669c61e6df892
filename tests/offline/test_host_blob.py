"""A bundle with host blobs serves the same bits as without, and a blob that is damaged or foreign changes nothing."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handler.engines.host_kind import processor
from layer.bundle import assemble, host_blobs, manifest
from layer.bundle.build_cache import Built
from layer.spec import Spec
from tests.conftest import build_demo
from tests.patience import SECONDS

ROOT = Path(__file__).parents[2]
ANOTHER_KIND = "avx2" if processor() != "avx2" else "avx2-avx512f"  # than this host's
# Embeds one image and two texts through lambda_handler, and prints what they are and what /health says then.
PROBE = """
import json, os
from handler import app
told = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
image = app.SERVICE.models.manifest.models[0].golden.images[0]
def ask(method, path, body=None):
    context = {"http": {"method": method, "path": path}}
    event = {"version": "2.0", "rawPath": path, "headers": {}, "requestContext": context, "body": json.dumps(body)}
    return json.loads(app.lambda_handler(event, None)["body"])
found = ask("POST", "/v1/embeddings", {"input": [{"image": image}, "a red circle", "two"], "encoding_format": "base64"})
health = ask("GET", "/health")
told.write(json.dumps({"data": found["data"], "model": health["models"][0], "status": health["status"],
                       "processor": health["processor"]}))
told.close()
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("openvino"), "openvino", "int8")


@pytest.fixture(scope="module")
def with_blobs(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("blobs")
    facts = manifest.read(plain)
    parts = host_blobs.with_blobs([Built(plain, facts, {})], Spec(facts.target, ()), root / "cache")
    assemble.assemble(parts, manifest.joined(Spec(facts.target, ()), [part.facts for part in parts]), root / "bundle")
    return root / "bundle"


@pytest.fixture(scope="module")
def expected(plain: Path) -> Any:
    return served(plain)[0]


def served(bundle: Path, **environ: str) -> tuple[Any, list[str]]:
    """Return what the probe prints, and the lines of its log that are about blobs."""
    run = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=ROOT,
        env={**os.environ, "OPENCLIP_BUNDLE_DIR": str(bundle), "OPENCLIP_EXTENSIONS": "none", **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    return json.loads(run.stdout), [line for line in run.stderr.splitlines() if "blob" in line]


def copy(bundle: Path, folder: Path) -> Path:
    shutil.copytree(bundle, folder)
    return folder


def rewrite(bundle: Path, change: Callable[[Any], object]) -> None:
    path = bundle / manifest.NAME
    facts = json.loads(path.read_text(encoding="utf-8"))
    change(facts)
    path.write_text(json.dumps(facts), encoding="utf-8")


def test_a_blob_gives_the_bits_of_the_compiled_tower(with_blobs: Path, expected: Any) -> None:
    found, log = served(with_blobs)
    assert found["data"] == expected["data"]
    assert found["model"]["compiled"] == {"image": "host blob", "text": "host blob"}
    assert expected["model"]["compiled"] == {"image": "at load", "text": "at load"}
    assert found["processor"] == expected["processor"] != ""
    assert log == []


def test_another_number_of_threads_takes_the_same_blob(with_blobs: Path) -> None:
    found, _ = served(with_blobs, OPENCLIP_THREADS="1")
    assert set(found["model"]["compiled"].values()) == {"host blob"}


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut in half": lambda whole: whole[: len(whole) // 2],
    "one bit turned": lambda whole: (
        whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :]
    ),
    "zeros": lambda whole: bytes(len(whole)),
    "longer": lambda whole: whole + b"\0",
}


@pytest.mark.parametrize("damage", [*DAMAGES, "missing"])
def test_a_damaged_blob_is_not_used(with_blobs: Path, expected: Any, tmp_path: Path, damage: str) -> None:
    bundle = copy(with_blobs, tmp_path / "bundle")
    for path in bundle.rglob("*.blob"):
        whole = path.read_bytes()
        path.unlink()
        if damage != "missing":
            path.write_bytes(DAMAGES[damage](whole))
    found, log = served(bundle)
    assert (found["status"], found["data"]) == ("ok", expected["data"])
    assert set(found["model"]["compiled"].values()) == {"at load"}
    assert len(log) == 2, "one line for each tower"


def test_openvino_refuses_a_blob_of_another_isa_itself(with_blobs: Path, expected: Any, tmp_path: Path) -> None:
    """The header of a blob names the ISA: with another one there, hashed anew, it is as from such a host."""
    bundle = copy(with_blobs, tmp_path / "bundle")
    digests = {}
    for path in bundle.rglob("*.blob"):
        whole = path.read_bytes()
        other = re.sub(rb"(?<=isa=Intel )[\w-]{3}", b"XYZ", whole[:300]) + whole[300:]
        assert other != whole
        path.unlink()
        path.write_bytes(other)
        digests[path.relative_to(bundle).as_posix()] = hashlib.sha256(other).hexdigest()
    rewrite(bundle, lambda facts: [f.update(sha256=digests.get(f["path"], f["sha256"])) for f in facts["files"]])
    found, log = served(bundle)
    assert found["data"] == expected["data"]
    assert set(found["model"]["compiled"].values()) == {"at load"}
    assert len(log) == 2, log
    assert all("isa mismatch" in line for line in log)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("openvino", "2025.1.0", "made by OpenVINO 2025.1.0"),
        ("settings", {"PERFORMANCE_HINT": "THROUGHPUT"}, "other settings"),
        ("processor", ANOTHER_KIND, "no host blob"),
    ],
)
def test_a_blob_of_another_host_or_version_is_not_used(
    with_blobs: Path, expected: Any, tmp_path: Path, key: str, value: Any, says: str
) -> None:
    bundle = copy(with_blobs, tmp_path / "bundle")
    rewrite(bundle, lambda facts: [blob.update({key: value}) for blob in facts["models"][0]["host_blobs"]])
    found, log = served(bundle)
    assert found["data"] == expected["data"]
    assert set(found["model"]["compiled"].values()) == {"at load"}
    assert [says in line for line in log] == [True, True] or key == "processor", log


def test_blobs_of_other_kinds_in_the_cache_go_into_the_bundle(with_blobs: Path, plain: Path, tmp_path: Path) -> None:
    cache = copy(with_blobs.parent / "cache", tmp_path / "cache")
    [made] = (cache / "blobs").glob("*/*/*")
    other = made.with_name(ANOTHER_KIND)
    shutil.copytree(made, other)
    record = (other / host_blobs.RECORD).read_text().replace(made.name, other.name)
    (other / host_blobs.RECORD).write_text(record)
    for path in other.glob("*.blob"):
        path.rename(path.with_name(path.name.replace(made.name, other.name)))
    facts = manifest.read(plain)
    [part] = host_blobs.with_blobs([Built(plain, facts, {})], Spec(facts.target, ()), cache)
    [model] = part.facts.models
    assert {blob.processor for blob in model.host_blobs or ()} == {made.name, other.name}
    assert len(part.added) == 4
    next(other.glob("*.blob")).write_bytes(b"damaged")
    [part] = host_blobs.with_blobs([Built(plain, facts, {})], Spec(facts.target, ()), cache)
    assert len(part.added) == 2
