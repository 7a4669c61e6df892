"""The clients' snippets of docs/api.md, run as they are written: 300 documents each, against the function."""

import json
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clients.conftest import drawn
from tests.clients.gateway import Gateway

DOCUMENT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
[SHELL] = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
CLIENTS = ["openai", "langchain_openai", "llama_index", "haystack", "litellm"]
ADDRESS = "http://127.0.0.1:8080"


def asked(gateway: Gateway, text: str) -> list[float]:
    """Ask without any client."""
    body = json.dumps({"input": text}).encode()
    request = urllib.request.Request(f"{gateway.url}/v1/embeddings", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        vector: list[float] = json.load(response)["data"][0]["embedding"]
    return vector


def test_every_client_has_its_snippet() -> None:
    imported = [re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE) for text in SNIPPETS]
    assert [name in names for name, names in zip(CLIENTS, imported, strict=True)] == [True] * len(CLIENTS)


def test_the_plain_request_is_answered_as_it_is_written(gateway: Gateway) -> None:
    run = subprocess.run(["bash", "-c", SHELL.replace(ADDRESS, gateway.url)], capture_output=True, check=True)
    vectors = [row["embedding"] for row in json.loads(run.stdout)["data"]]
    assert np.array(vectors).shape == (2, 64)
    np.testing.assert_allclose(vectors[0], asked(gateway, "a red circle"), atol=1e-5)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=CLIENTS)
def test_a_snippet_embeds_300_documents_as_it_is_written(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snippet: str
) -> None:
    (tmp_path / "image.png").write_bytes(drawn("red"))
    monkeypatch.chdir(tmp_path)
    assert ADDRESS in snippet
    before = len(gateway.seen)
    found: dict[str, Any] = {}

    exec(snippet.replace(ADDRESS, gateway.url), found)  # noqa: S102 - our own document

    assert np.array(found["vectors"]).shape == (300, 64)
    np.testing.assert_allclose(found["vectors"][299], asked(gateway, "a red circle, number 299"), atol=1e-5)
    assert {path for _, path in gateway.seen[before:]} == {"/v1/embeddings"}
