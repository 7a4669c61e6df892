"""Clients of npm, with another base URL: the snippets of docs/api.md, and open_clip's vectors through each."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clients.conftest import MODEL
from tests.clients.gateway import Gateway
from tests.clients.test_snippets import ADDRESS, asked
from tests.documents import Block, marked
from tests.patience import SECONDS

PACKAGES = Path(__file__).parents[2] / "build" / "javascript"
SNIPPETS = marked(__file__, "docs/api.md", "js")
CLIENTS = ["openai", "@langchain/openai", "ai"]


def run(folder: Path, code: str, *arguments: str, given: str = "") -> Any:
    """Run a module where the packages are found, and return the JSON that it prints."""
    (folder / "node_modules").symlink_to(PACKAGES / "node_modules")
    (folder / "module.mjs").write_text(code, encoding="utf-8")
    command = [str(shutil.which("node")), str(folder / "module.mjs"), *arguments]
    ended = subprocess.run(command, input=given, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_every_client_has_its_snippet() -> None:
    assert [f'from "{name}"' in block.code for name, block in zip(CLIENTS, SNIPPETS, strict=True)] == [True] * 3


@pytest.mark.parametrize("block", SNIPPETS, ids=CLIENTS)
def test_a_snippet_embeds_300_documents_as_it_is_written(gateway: Gateway, tmp_path: Path, block: Block) -> None:
    snippet = block.text
    assert ADDRESS in snippet
    before = len(gateway.seen)

    vectors = run(tmp_path, f"{snippet.replace(ADDRESS, gateway.url)}\nconsole.log(JSON.stringify(vectors));")

    assert np.array(vectors).shape == (300, 64)
    np.testing.assert_allclose(vectors[299], asked(gateway, "a red circle, number 299"), atol=1e-5)
    assert {path for _, path in gateway.seen[before:]} == {"/v1/embeddings"}


def test_every_client_gets_open_clip_s_vectors_usage_and_errors(gateway: Gateway, bundle: Path, tmp_path: Path) -> None:
    [model] = [entry for entry in json.loads((bundle / "manifest.json").read_text())["models"] if entry["id"] == MODEL]
    golden, bound = model["golden"], model["export"]["parity"]["required_cosine"]
    inputs = {"texts": golden["texts"], "images": [f"data:image/png;base64,{image}" for image in golden["images"]]}
    code = (Path(__file__).parent / "javascript" / "golden.mjs").read_text(encoding="utf-8")

    before = len(gateway.seen)
    found = run(tmp_path, code, f"{gateway.url}/v1", MODEL, given=json.dumps(inputs))

    assert set(found["texts"]) == {"openai, base64", "openai, float", "langchain", "ai"}
    for name, vectors in found["texts"].items():
        assert cosines(vectors, golden["text_embeddings"]).min() > bound, name
    assert cosines(found["images"], golden["image_embeddings"]).min() > bound
    assert found["tokens"] == [sum(read(row) for row in golden["token_ids"])] * 2
    assert [refused["status"] for refused in found["refused"]] == [400] * 3
    assert all("an empty string: send at least one character" in refused["message"] for refused in found["refused"])
    assert (found["refused"][0]["code"], found["requestId"] is None) == ("empty_input", False)
    assert found["refused"][0]["requestID"] not in (None, found["requestId"])
    assert len(gateway.seen) - before == 8  # a mistake of the client's is not sent again


def read(token_ids: list[int]) -> int:
    """Count the tokens of a text that the model reads: all but the padding."""
    return sum(token != 0 for token in token_ids)


def cosines(found: Any, expected: list[str]) -> Any:
    wanted = np.array([np.frombuffer(base64.b64decode(row), "<f4") for row in expected])
    vectors = np.array(found)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(wanted, axis=1)
    return (vectors * wanted).sum(axis=1) / lengths
