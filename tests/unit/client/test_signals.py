"""Ctrl-C, a kill and the end of the session: what was computed is written, or the run goes on."""

import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.unit.client.conftest import Scripted, python, result, texts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_leaves_what_it_computed(scripted: Scripted, tmp_path: Path, number: signal.Signals) -> None:
    def answer(path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if len(scripted.requests) == 3:
            process.send_signal(number)
            time.sleep(2)
        answered: tuple[int, dict[str, str], bytes] = result()(path, body)
        return answered

    scripted.answer = answer
    process = python(
        "embed", *texts(10), "--batch", "2", "--jobs", "1", "--url", scripted.url, "--output", tmp_path / "out.npy"
    )
    _, error = process.communicate(timeout=120)

    assert process.returncode == 130
    assert np.load(tmp_path / "out.partial.npy").shape == (4, 4)
    assert b"Traceback" not in error
    assert not (tmp_path / "out.npy").exists()


def test_a_run_under_nohup_goes_on_when_the_session_ends(scripted: Scripted, tmp_path: Path) -> None:
    def answer(path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        process.send_signal(signal.SIGHUP)
        answered: tuple[int, dict[str, str], bytes] = result()(path, body)
        return answered

    scripted.answer = answer
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does; a child has what is ignored, too
    try:
        process = python("embed", *texts(4), "--batch", "2", "--url", scripted.url, "--output", tmp_path / "out.npy")
    finally:
        signal.signal(signal.SIGHUP, before)
    _, error = process.communicate(timeout=120)

    assert process.returncode == 0, error
    assert np.load(tmp_path / "out.npy").shape == (4, 4)
