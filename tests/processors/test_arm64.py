"""Packages for arm64, as layers and as an image, as Lambda's Gravitons run them: every response is that of x86_64."""

from pathlib import Path

import pytest

from tests.conftest import build_demo
from tests.processors import emulated, requests
from tests.processors.held import assert_log_is_ours, assert_same
from tests.processors.packages import packaged

EVENTS = requests.events()
HIDDEN = "/sys describes no processor to onnxruntime"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("demo"), "onnx", "int8")


@pytest.fixture(scope="module")
def on_x86_64(bundle: Path) -> emulated.Answers:
    return emulated.here(bundle, None, EVENTS)


@pytest.fixture(scope="module", params=["layer", "image"])
def places(request: pytest.FixtureRequest, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return packaged(bundle, tmp_path_factory.mktemp("packaged"), request.param)


@pytest.mark.parametrize("cpu", ["neoverse-n1", "neoverse-v1"])
def test_every_request_is_answered_as_on_x86_64(cpu: str, places: dict[str, Path], on_x86_64: emulated.Answers) -> None:
    found = emulated.in_tree("arm64", cpu, places, EVENTS)

    assert_same(EVENTS, found, on_x86_64)
    assert_log_is_ours(found, HIDDEN)


@pytest.mark.parametrize("places", ["layer"], indirect=True)
@pytest.mark.parametrize(("cpu", "used"), [("neoverse-n1", "udot"), ("neoverse-v1", "ummla")])
def test_products_are_of_the_processor_s_8_bit_instructions_where_sys_is_hidden(
    cpu: str, used: str, places: dict[str, Path]
) -> None:
    # A processor without them takes smlal and sadalp.
    counted = emulated.instructions(cpu, places, [EVENTS[0]], ["udot", "ummla", "smlal", "sadalp"])

    print(counted)
    assert [name for name, count in counted.items() if count] == [used]
