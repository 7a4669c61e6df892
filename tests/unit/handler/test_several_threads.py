"""Several threads in one execution environment: each call answered as if it were alone, whatever else goes on."""

import io
import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from handler.imaging import s3
from handler.telemetry import metrics
from handler.telemetry.invocation import Call
from tests.unit.fake_bundle import FIRST, SECOND, FakeFunction

THREADS = 8


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Do the work in eight threads that begin together."""
    gate = threading.Barrier(THREADS)

    def started(number: int) -> Any:
        if number < THREADS:
            gate.wait(20)
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(started, range(count)))


def test_a_model_that_eight_threads_want_is_loaded_once_and_one_call_is_cold(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path)
    cold = at_once(THREADS, lambda _: function.service.begin())
    engines = at_once(THREADS, lambda _: function.service.model(FIRST).engine)

    assert Counter(cold) == {True: 1, False: THREADS - 1}
    assert function.loader.loads == [FIRST]
    assert len({id(engine) for engine in engines}) == 1


def test_models_that_push_each_other_out_answer_right(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path, model_memory_mb=1)
    # What two models take together is over the setting, so that each load lets go of the other.
    function.service.models._sizes.update({FIRST: 900_000, SECOND: 900_000})

    def ask(number: int) -> tuple[int, Any]:
        model = (FIRST, SECOND)[number % 2]
        status, body = function.post({"input": ["a" * (1 + number % 5) + "b"], "model": model, "normalize": False})
        return status, (body["model"], body["data"][0]["embedding"])

    answers = at_once(32, ask)
    assert answers == [(200, ((FIRST, SECOND)[number % 2], [1.0 + number % 5, 1.0, 0.0, 0.0])) for number in range(32)]


def test_a_model_that_cannot_be_loaded_keeps_its_own_reason_while_others_load(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path)
    assert function.service.model(FIRST)
    function.loader.error = RuntimeError("no such weights")

    def ask(number: int) -> tuple[int, str]:
        status, body = function.post({"input": "a", "model": (FIRST, SECOND)[number % 2]})
        return status, body.get("error", {}).get("message", "")

    for status, message in at_once(200, ask):
        assert (status, message) in {
            (200, ""),
            (503, "the model cannot be loaded: RuntimeError: no such weights"),
        }


def test_lines_of_metrics_are_complete() -> None:
    pieces: list[str] = []

    class Stream(io.StringIO):
        """Remembers what was written at once."""

        def write(self, text: str) -> int:
            pieces.append(text)
            return len(text)

    metrics.emit(Call(), {"AWS_LAMBDA_FUNCTION_NAME": "openclip"}, None, Stream())
    [line] = pieces
    assert json.loads(line)["status"] == 0
    assert line.endswith("}\n")


def test_one_client_is_made_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    making = threading.Semaphore(1)
    made: list[object] = []

    def client(*_: Any, **__: Any) -> object:
        assert making.acquire(blocking=False), "two at once: boto3's session is not for several threads"
        threading.Event().wait(0.05)
        made.append(object())
        making.release()
        return made[-1]

    s3._made.cache_clear()
    monkeypatch.setattr(boto3, "client", client)
    clients = at_once(THREADS, lambda _: s3._client())
    s3._made.cache_clear()

    assert len(made) == 1
    assert {id(one) for one in clients} == {id(made[0])}
