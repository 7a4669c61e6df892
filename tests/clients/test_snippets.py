"""The clients' snippets of docs/api.md, run as they are written: 300 documents each, against the function."""

import base64
import json
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clients.conftest import drawn
from tests.clients.gateway import Gateway
from tests.documents import Block, marked
from tests.patience import SECONDS

SNIPPETS = marked(__file__, "docs/api.md", "python")
[SHELL] = marked(__file__, "docs/api.md", "sh")
[ERROR] = marked(__file__, "docs/api.md", "json")
CLIENTS = ["openai", "langchain_openai", "llama_index", "haystack", "litellm"]
ADDRESS = "http://127.0.0.1:8080"


def asked(gateway: Gateway, text: str) -> list[float]:
    """Ask without any client."""
    body = json.dumps({"input": text}).encode()
    request = urllib.request.Request(f"{gateway.url}/v1/embeddings", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        vector: list[float] = json.load(response)["data"][0]["embedding"]
    return vector


def test_every_client_has_its_snippet() -> None:
    imported = [re.findall(r"^(?:from|import) (\w+)", block.code, re.MULTILINE) for block in SNIPPETS]
    assert [name in names for name, names in zip(CLIENTS, imported, strict=True)] == [True] * len(CLIENTS)


def test_the_plain_request_is_answered_as_it_is_written(gateway: Gateway) -> None:
    run = subprocess.run(["bash", "-c", SHELL.text.replace(ADDRESS, gateway.url)], capture_output=True, check=True)
    vectors = [row["embedding"] for row in json.loads(run.stdout)["data"]]
    assert np.array(vectors).shape == (2, 64)
    np.testing.assert_allclose(vectors[0], asked(gateway, "a red circle"), atol=1e-5)


@pytest.mark.parametrize("block", SNIPPETS, ids=CLIENTS)
def test_a_snippet_embeds_300_documents_as_it_is_written(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: Block
) -> None:
    (tmp_path / "image.png").write_bytes(drawn("red"))
    monkeypatch.chdir(tmp_path)
    snippet = block.text
    assert ADDRESS in snippet
    before = len(gateway.seen)
    found: dict[str, Any] = {}

    exec(snippet.replace(ADDRESS, gateway.url), found)  # noqa: S102 - our own document

    assert np.array(found["vectors"]).shape == (300, 64)
    np.testing.assert_allclose(found["vectors"][299], asked(gateway, "a red circle, number 299"), atol=1e-5)
    assert {path for _, path in gateway.seen[before:]} == {"/v1/embeddings"}


def test_an_error_has_the_form_that_the_page_shows(gateway: Gateway) -> None:
    images = [base64.b64encode(drawn("red")).decode()] * 3
    body = json.dumps({"input": [*images, images[0][:80]], "modality": "image"}).encode()
    request = urllib.request.Request(f"{gateway.url}/v1/embeddings", body, {"content-type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=SECONDS)
    answer = json.load(refused.value)
    assert answer.keys() == json.loads(ERROR.text).keys()
    assert {**answer["error"], "message": "..."} == json.loads(ERROR.text)["error"]
