"""Both engines on an x86_64 processor without VNNI and AVX-512, where 8-bit products saturate: the same vectors."""

from pathlib import Path

import pytest

from tests.conftest import build_demo
from tests.offline.packaged import packaged
from tests.processors import emulated, requests
from tests.processors.held import assert_log_is_ours, assert_same

EVENTS = requests.events()
CPU = "Haswell-noTSX"  # qemu has no TSX, and warns where a model has it
# ONNX Runtime's products are of the same numbers, all unsigned. OpenVINO's have activations of fp32, not of 8 bits.
MIN_COSINE = {"onnx": 0.99999, "openvino": 0.9999}
SATURATES = {"onnx": "saturate on this processor (it has no VNNI)", "openvino": "8-bit products saturate"}


@pytest.mark.parametrize("engine", SATURATES)
def test_every_request_is_answered_as_here(engine: str, tmp_path: Path) -> None:
    bundle, tree = build_demo(tmp_path, engine, "int8"), packaged([engine], tmp_path / "tree")

    found = emulated.here(bundle, tree, EVENTS, CPU)

    assert_same(EVENTS, found, emulated.here(bundle, tree, EVENTS), MIN_COSINE[engine])
    assert_log_is_ours(found, SATURATES[engine])
