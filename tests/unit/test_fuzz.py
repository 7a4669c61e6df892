"""Hypothesis sends bytes that nearly are pictures and events that nearly are events, for some time.

FUZZ_SECONDS says how long each goes on (`make fuzz` sets more); what came of it is an answer, or an ImageError.
"""

import gc
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handler.errors import STATUS, ImageError
from handler.images import decode
from handler.manifest import load
from handler.preprocess import Preprocess
from tests.unit.fake_bundle import FakeFunction, as_base64, write
from tests.unit.strategies import MODES, damaged, events, picture
from tests.unit.test_events import HTTP_API, LOAD_BALANCER, REST_API

SECONDS = float(os.environ.get("FUZZ_SECONDS") or 10)
MAX_PIXELS = 250_000
CASES = 200  # of a round
ROUND = settings(deadline=None, database=None, max_examples=CASES, suppress_health_check=list(HealthCheck))


def go_on(one_round: Callable[[], None]) -> None:
    """Repeat a property, each round from another seed."""
    started, rounds = time.monotonic(), 0
    while time.monotonic() - started < SECONDS or rounds < 2:
        one_round()
        rounds += 1
    print(f"{rounds * CASES} cases")


def come_to_rest(one_call: Callable[[random.Random], None]) -> None:
    """Repeat a call and see that memory does not grow after the first quarter. Hypothesis itself keeps much."""
    chance, started = random.Random(2026), time.monotonic()  # noqa: S311 - damage, not secrets
    baseline, calls = 0, 0
    while (passed := time.monotonic() - started) < SECONDS:
        one_call(chance)
        calls += 1
        if not baseline and passed > SECONDS / 4:
            baseline = resident_pages()
    grown = resident_pages() / baseline - 1
    print(f"{calls} calls, memory grew by {grown:.1%}")
    assert grown < 0.05


def resident_pages() -> int:
    """Return what the process holds in memory now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])


def test_bytes_that_are_nearly_a_picture_are_decoded_or_refused(tmp_path: Path) -> None:
    entry = load(write(tmp_path)).models[0]
    preprocess = Preprocess(entry.preprocess, entry.image_size)
    seen: set[str] = set()

    @ROUND
    @given(st.one_of(damaged(), st.binary(max_size=300)))
    def one_round(data: bytes) -> None:
        try:
            pixels = preprocess(decode(data, MAX_PIXELS))
        except ImageError as error:
            code, message = error.code, error.message
        else:
            code, message = "decoded", ""
            assert pixels.shape == (3, *entry.image_size)
        assert code == "decoded" or code in STATUS
        assert len(message) < 500
        seen.add(code)

    go_on(one_round)
    assert {"decoded", "truncated_image", "not_an_image"} <= seen


def test_events_that_are_nearly_aws_s_get_an_answer_and_never_a_5xx(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle")
    seen: set[int] = set()

    @ROUND
    @given(events())
    def one_round(event: dict[str, Any]) -> None:
        answer = function.invoke(event)
        if "statusCode" in answer:
            seen.add(answer["statusCode"])
            assert answer["statusCode"] < 500, (event, answer)
            assert isinstance(answer["body"], str)
            headers = answer.get("headers") or answer["multiValueHeaders"]
            assert all("\n" not in str(value) and "\r" not in str(value) for value in headers.values())
        else:
            assert "error" not in answer or STATUS[answer["error"]["code"]] < 500, (event, answer)

    go_on(one_round)
    assert {200, 400, 404} <= seen


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as handler.images does; pytest resets that
def test_damaged_pictures_and_odd_events_leave_no_memory_behind(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle", max_image_pixels=MAX_PIXELS)
    bodies = [picture(kind, mode, seed) for kind, modes in MODES.items() for mode in modes for seed in range(20)]

    def one_call(chance: random.Random) -> None:
        data = bytearray(chance.choice(bodies))
        for _ in range(chance.randrange(4)):
            place = chance.randrange(len(data))
            data[place : place + chance.randrange(5)] = chance.randbytes(chance.randrange(5))
        shapes: list[dict[str, Any]] = [HTTP_API, REST_API, LOAD_BALANCER]
        event = {**chance.choice(shapes), "isBase64Encoded": True}
        event |= {"body": as_base64(bytes(data)), "headers": {"content-type": "image/png"}, "extra": chance.random()}
        assert function.invoke(event)["statusCode"] < 500
        function.loader.engine.image_batches.clear()  # the stand-in remembers its calls

    come_to_rest(one_call)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM" + b"\0" * 60, b"RIFF\0\0\0\0WEBPVP8 "])
def test_signatures_alone_are_no_pictures(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode(data, MAX_PIXELS)
