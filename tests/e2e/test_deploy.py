"""A real `cdk deploy` of both shapes to an emulated account, called through API Gateway. test_update.py goes on."""

import base64
import gzip
import json
import subprocess
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from openclip_lambda.cli import main as cli

from tests import bounds
from tests.e2e.builds import Builds, manifest_sha256
from tests.e2e.deployment import Deployment, resolve_localhost
from tests.local.test_emulator import decoded, golden, vectors

MIN_COSINE = bounds.MIN_COSINE["int8"]
QUESTION = {"input": "a red circle"}


def test_texts_and_images_come_out_as_open_clip_embeds_them(stack: Deployment, build: Builds) -> None:
    expected = golden(build("image", "int8") / "bundle")
    images = [{"image": image} for image in expected["images"]]

    reply = stack.call("/v1/embeddings", {"input": [*expected["texts"], *images]}, stack.bearer())

    assert reply.status == 200, reply.body
    wanted = decoded(expected["text_embeddings"] + expected["image_embeddings"])
    assert (vectors(reply.json()) * wanted).sum(axis=1).min() > MIN_COSINE


def test_an_image_may_be_the_body(stack: Deployment, build: Builds) -> None:
    expected = golden(build("image", "int8") / "bundle")
    image = base64.b64decode(expected["images"][0])

    reply = stack.call("/v1/embeddings", image, {**stack.bearer(), "content-type": "image/png"})

    assert reply.status == 200, reply.body
    assert (vectors(reply.json()) * decoded(expected["image_embeddings"][:1])).sum() > MIN_COSINE


def test_the_gateway_lets_the_slash_of_a_model_s_id_through(stack: Deployment) -> None:
    [model] = stack.call("/v1/models", headers=stack.bearer()).json()["data"]
    assert "/" in model["id"]
    for written in (model["id"], quote(model["id"], safe="")):
        assert stack.call(f"/v1/models/{written}", headers=stack.bearer()).json() == model


def test_the_live_version_serves_the_bundle_that_was_deployed(stack: Deployment, build: Builds) -> None:
    assert stack.live()["manifest_sha256"] == manifest_sha256(build(stack.shape, "int8"))


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic {key}", "Bearer {key}x"])
def test_without_the_key_a_request_never_reaches_the_function(stack: Deployment, authorization: str | None) -> None:
    before = stack.invocations()
    headers = {} if authorization is None else {"authorization": authorization.format(key=stack.key())}

    reply = stack.call("/v1/embeddings", QUESTION, headers)

    assert reply.status == (403 if authorization else 401)
    assert stack.invocations() == before


def test_a_rotated_key_counts_at_once_and_the_one_before_it_goes_on(stack: Deployment) -> None:
    before = stack.bearer()
    assert stack.call("/v1/models", headers=before).status == 200
    assert stack.call("/v1/models", headers={"authorization": f"Bearer {'r' * 48}"}).status == 403
    stack.aws.client("secretsmanager").put_secret_value(
        SecretId=stack.outputs["ApiKeySecretArn"], SecretString="r" * 48
    )

    assert stack.call("/v1/models", headers={"authorization": f"Bearer {'r' * 48}"}).status == 200
    assert stack.call("/v1/models", headers=before).status == 200


def test_weaviate_s_module_gets_in_by_the_key_in_its_path_which_no_log_holds(stack: Deployment) -> None:
    body = {"texts": ["a red circle"], "images": None}
    before = stack.invocations()
    assert stack.call("/k/wrong/vectorize", body).status == 403
    assert stack.call(f"/k/{stack.key()}/v1/embeddings", QUESTION).status in (401, 404)
    assert stack.invocations() == before

    reply = stack.call(f"/k/{stack.key()}/vectorize", body)

    assert reply.status == 200, reply.body
    assert len(reply.json()["textVectors"]) == 1
    assert stack.call(f"/k/{stack.key()}/.well-known/ready").status == 204
    assert not [line for line in stack.log_lines() if stack.key() in line]


def test_a_compressed_body_passes_the_gateway_under_a_type_that_it_takes_for_bytes(stack: Deployment) -> None:
    packed = gzip.compress(json.dumps(QUESTION).encode())
    headers = {**stack.bearer(), "content-encoding": "gzip", "content-type": "application/vnd.api+json"}
    assert stack.call("/v1/embeddings", packed, headers).status == 200
    refused = stack.call("/v1/embeddings", packed, {**headers, "content-type": "application/json"})
    assert (refused.status, refused.json()["error"]["code"]) == (400, "invalid_gzip")


def test_titan_s_request_is_a_direct_invoke(stack: Deployment, build: Builds) -> None:
    expected = golden(build("image", "int8") / "bundle")
    both = {"inputText": expected["texts"][0], "inputImage": expected["images"][0]}

    answer = stack.invoke(both)

    mean = decoded([expected["text_embeddings"][0], expected["image_embeddings"][0]]).sum(axis=0)
    assert np.dot(answer["embedding"], mean / np.linalg.norm(mean)) > MIN_COSINE
    assert stack.invoke({"inputText": ""})["message"].startswith("empty_input: ")


def test_an_unknown_path_ends_at_the_gateway(stack: Deployment) -> None:
    before = stack.invocations()

    assert stack.call("/v2/anything", headers=stack.bearer()).status == 404
    assert stack.invocations() == before


def test_the_curl_of_the_outputs_works_as_it_is(stack: Deployment) -> None:
    # curl resolves names under localhost itself; the aws command is not installed here, and only fetches the key.
    script = f'aws() {{ echo "$OPENCLIP_KEY"; }}\n{stack.outputs["Curl"]}'
    run = subprocess.run(
        ["bash", "-c", script], env={**stack.aws.environ, "OPENCLIP_KEY": stack.key()}, capture_output=True, check=True
    )

    assert b'"object":"embedding"' in run.stdout


def test_the_client_embeds_with_the_key(
    stack: Deployment, build: Builds, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = golden(build("image", "int8") / "bundle")
    (tmp_path / "image.png").write_bytes(base64.b64decode(expected["images"][0]))
    resolve_localhost(monkeypatch)
    where = ("--url", stack.outputs["Url"], "--api-key", stack.key(), "--output", str(tmp_path / "out.npy"))

    assert cli.main(["embed", "--text", expected["texts"][0], str(tmp_path / "image.png"), *where]) == 0

    wanted = decoded([expected["text_embeddings"][0], expected["image_embeddings"][0]])
    assert (np.load(tmp_path / "out.npy") * wanted).sum(axis=1).min() > MIN_COSINE
