"""What is measured as a peer is open_clip's work: the embeddings of all that need no environment of their own."""

import os
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.peers import graphs, onnx_runtime, openvino_runtime
from benchmarks.peers.contender import Setup
from benchmarks.peers.entries import ENTRIES
from benchmarks.peers.results import REQUIRED, least_cosine
from tests.offline import compared_inputs

BY_NAME = {entry.name: entry for entry in ENTRIES}
LEAST = {
    "torch bf16": REQUIRED,
    "ONNX Runtime fp32": 0.99999,
    "ONNX Runtime dynamic int8": 0.99,
    "ONNX Runtime dynamic int8, per channel": 0.99,
    "OpenVINO": REQUIRED,
}


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """The demo model from its folder, and the peers' files."""
    environ, threads, fast = dict(os.environ), torch.get_num_threads(), torch.backends.mha.get_fastpath_enabled()
    made, loaded = compared_inputs.written(tmp_path_factory.mktemp("peers"), {})
    onnx = made.peers / "onnx"
    for name in ("onnx", "dynamic", "dynamic-per-channel", "openvino"):
        (made.peers / name).mkdir()
    graphs.export(loaded, made.name, onnx)
    graphs.quantize(onnx, made.peers / "dynamic")
    graphs.quantize(onnx, made.peers / "dynamic-per-channel", per_channel=True)
    graphs.convert(onnx, made.peers / "openvino")
    yield made
    os.environ.clear()
    os.environ.update(environ)
    torch.set_num_threads(threads)
    torch.backends.mha.set_fastpath_enabled(fast)


@pytest.fixture(scope="module")
def expected(setup: Setup) -> dict[str, NDArray[np.float32]]:
    return compared_inputs.expected(setup.peers)


def test_the_reference_is_open_clip(setup: Setup, expected: dict[str, NDArray[np.float32]]) -> None:
    for kind, wanted in expected.items():
        assert least_cosine(wanted, np.load(setup.peers / "inputs" / f"{kind}.npy")) > 0.999999


@pytest.mark.parametrize("name", LEAST)
def test_a_peer_embeds_as_open_clip_does(
    name: str, setup: Setup, expected: dict[str, NDArray[np.float32]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (onnx_runtime, openvino_runtime):  # the preprocessing around a tower is a bundle's
        monkeypatch.setattr(module, "LeanInputs", lambda given: None)
    contender = BY_NAME[name].create(setup)

    for kind, given in (("images", "pixels"), ("captions", "ids")):
        batch = np.load(setup.peers / "inputs" / f"{given}.npy")
        vectors = np.concatenate([getattr(contender, kind)(part) for part in (batch[:1], batch[1:9], batch[9:])])
        assert least_cosine(expected[kind], vectors) >= LEAST[name], kind
