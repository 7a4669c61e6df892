"""Images in S3, by boto3 from an emulated S3: versions, limits, and errors that name the item."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.session import Session

from tests.clients.conftest import as_base64, drawn
from tests.clients.gateway import Gateway, serving
from tests.local.emulator import free_port
from tests.patience import SECONDS

LIMIT = 200_000
HANGS_SECONDS = 60  # until a request is taken for one without an end; botocore's own limits add up to more


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The emulator's: a line for each request."""
    return tmp_path_factory.mktemp("s3") / "log"


@pytest.fixture(scope="module")
def environ(log: Path) -> Iterator[dict[str, str]]:
    """An emulator of AWS, and the variables that point to it."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env={**os.environ, "GATEWAY_PORT": str(port), "EDGE_PORT": str(port), "LOG_LEVEL": "DEBUG"},
            stdout=output, stderr=output, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + SECONDS
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.terminate()
        process.wait(SECONDS)


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=2).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def versions(environ: dict[str, str]) -> dict[str, str]:
    """Two buckets with images; returns the versions of photos/circle.png, by color."""
    client: Any = Session().create_client(
        "s3",
        "us-east-1",
        endpoint_url=environ["AWS_ENDPOINT_URL"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    for bucket in ("photos", "private"):
        client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    made = {}
    for color in ("red", "blue"):
        put = client.put_object(Bucket="photos", Key="circle.png", Body=drawn(color), ContentType="text/plain")
        made[color] = put["VersionId"]
    client.put_object(Bucket="photos", Key="folder/ü ?.jpg", Body=drawn("green", "JPEG"))
    client.put_object(Bucket="photos", Key="notes.png", Body=b"no image", ContentType="image/png")
    client.put_object(Bucket="photos", Key="large.bmp", Body=b"BM" + bytes(LIMIT))
    client.put_object(Bucket="photos", Key="empty.png", Body=b"")
    client.put_object(Bucket="private", Key="circle.png", Body=drawn("red"))
    return made


@pytest.fixture(scope="module")
def api(
    bundle: Path, environ: dict[str, str], versions: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    settings = {"OPENCLIP_ALLOWED_BUCKETS": "photos", "OPENCLIP_MAX_OBJECT_BYTES": str(LIMIT)}
    with serving(bundle, tmp_path_factory.mktemp("cache"), **environ, **settings) as gateway:
        yield gateway


def embed(api: Gateway, items: list[str], seconds: float = SECONDS) -> tuple[int, Any]:
    body = json.dumps({"input": items, "modality": "image"}).encode()
    request = urllib.request.Request(f"{api.url}/v1/embeddings", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return answer.status, [row["embedding"] for row in json.load(answer)["data"]]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]


def test_objects_and_their_versions_are_embedded_as_their_bytes_are(api: Gateway, versions: dict[str, str]) -> None:
    references = [
        "s3://photos/circle.png",
        f"s3://photos/circle.png?versionId={versions['red']}",
        f"s3://photos/circle.png?versionId={versions['blue']}",
        "s3://photos/folder/ü ?.jpg",
    ]
    inline = [drawn("blue"), drawn("red"), drawn("blue"), drawn("green", "JPEG")]

    status, found = embed(api, references)

    assert status == 200, found
    np.testing.assert_allclose(found, embed(api, [as_base64(data) for data in inline])[1], atol=1e-6)


def test_a_full_batch_is_fetched_together_and_each_object_once(api: Gateway, log: Path) -> None:
    before = log.stat().st_size
    status, found = embed(api, ["s3://photos/circle.png", "s3://photos/folder/ü ?.jpg"] * 128)
    assert (status, len(found)) == (200, 256)
    asked = re.findall(rb" GET /photos/(circle|folder)", log.read_bytes()[before:])
    assert set(asked) == {b"circle", b"folder"}
    assert len(asked) < 8, "more than a try again for one that was slow"


@pytest.mark.parametrize(
    ("reference", "status", "code"),
    [
        ("s3://private/circle.png", 403, "bucket_not_allowed"),
        ("s3://photos/missing.png", 404, "object_not_found"),
        ("s3://photos/large.bmp", 413, "object_too_large"),
        ("s3://photos/empty.png", 400, "empty_input"),
        ("s3://photos/notes.png", 400, "not_an_image"),  # told by its bytes, whatever its content type says
    ],
)
def test_one_bad_object_of_a_batch_is_named(api: Gateway, reference: str, status: int, code: str) -> None:
    found, error = embed(api, ["s3://photos/circle.png", reference])
    assert (found, error["code"], error["param"]) == (status, code, "input[1]"), error
    assert embed(api, ["s3://photos/circle.png"])[0] == 200


def test_an_s3_that_does_not_answer_is_503_and_not_a_hang(bundle: Path, tmp_path: Path) -> None:
    nowhere = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with serving(bundle, tmp_path, **nowhere, OPENCLIP_ALLOWED_BUCKETS="photos") as gateway:
        assert embed(gateway, [as_base64(drawn("red"))])[0] == 200  # the model is there: what comes is S3's time alone
        status, error = embed(gateway, ["s3://photos/circle.png"], HANGS_SECONDS)
    assert (status, error["code"], error["param"]) == (503, "s3_unavailable", "input[0]")
