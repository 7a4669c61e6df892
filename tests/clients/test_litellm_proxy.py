"""LiteLLM's proxy in a process of its own, with our API as an `openai/` model: openai's client asks it."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest

from tests.clients.conftest import MODEL, data_uri, drawn
from tests.clients.gateway import KEY, Gateway
from tests.patience import SECONDS

MASTER = "sk-of-the-proxy"
CONFIG = """
model_list:
  - model_name: clip
    litellm_params:
      model: openai/{model}
      api_base: {url}/v1
      api_key: {key}
      max_retries: 0
litellm_settings:
  drop_params: true
  telemetry: false
general_settings:
  master_key: {master}
"""


@pytest.fixture(scope="module")
def proxy(guarded: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """A client of the proxy, which has the key of our API; the client has the proxy's."""
    folder = tmp_path_factory.mktemp("proxy")
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(model=MODEL, url=guarded.url, key=KEY, master=MASTER))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [str(Path(sys.executable).with_name("litellm")), "--config", str(config), "--host", "127.0.0.1"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, "--port", port], env=environ, cwd=folder, stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{port}", process, folder / "log")
        yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}", api_key=MASTER, max_retries=0, timeout=SECONDS)
    finally:
        process.terminate()
        process.wait(SECONDS)


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/health/liveliness", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the proxy did not start: {log.read_text()[-2000:]}")


def test_texts_and_images_come_through_the_proxy(proxy: openai.OpenAI, guarded: Gateway) -> None:
    direct = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=KEY, max_retries=0)
    inputs = ["a photo of a red circle", data_uri(drawn("red"))]
    expected = [row.embedding for row in direct.embeddings.create(model=MODEL, input=inputs).data]

    found = proxy.embeddings.create(model="clip", input=inputs, user="someone", extra_body={"metadata": {"team": "a"}})

    np.testing.assert_allclose([row.embedding for row in found.data], expected, atol=1e-6)
    assert found.usage.prompt_tokens > 0


def test_our_refusal_and_its_reason_come_through_the_proxy(proxy: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"is an empty string"):
        proxy.embeddings.create(model="clip", input=["a", ""])
