"""Ctrl-C goes to all processes of a terminal: that of the command answers it, and the others print nothing."""

import multiprocessing
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from handler.batch import processes


def tell(connection: Connection, *_: object) -> None:
    """What a process of a run begins with, once its modules are imported."""
    connection.send(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def test_a_process_does_not_get_it_while_it_imports_its_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_serve", tell)
    worker = processes._start(Path(), Path(), 0.5)
    try:
        assert worker.connection.recv()
    finally:
        worker.stop()


def test_the_command_gets_it_right_after_it_has_started_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = multiprocessing.get_context("spawn").Process.start, []

    def interrupted(process: multiprocessing.Process) -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        start(process)
        started.append(process)

    monkeypatch.setattr(processes, "_serve", tell)
    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        processes._start(Path(), Path(), 0.5)
    [process] = started
    process.terminate()
    process.join()
