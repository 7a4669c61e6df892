"""What the tests' own builder leaves behind when a build takes too long: nothing."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.hub.builder import Builder, kill
from tests.hub.server import Hub


def test_a_build_that_takes_too_long_is_dead_when_the_test_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []
    start = Builder.start

    def watched(self: Builder, *arguments: str) -> "subprocess.Popen[str]":
        started.append(start(self, *arguments))
        return started[0]

    monkeypatch.setattr(Builder, "start", watched)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes every question, answers none
        builder = Builder(tmp_path / "work", Hub(url=f"http://127.0.0.1:{silent.getsockname()[1]}"))
        with pytest.raises(subprocess.TimeoutExpired):
            builder.run(timeout=0)

    assert started[0].returncode == -signal.SIGKILL


def test_a_build_is_killed_with_all_that_it_has_started() -> None:
    parent = ["sh", "-c", "sleep 1000 & echo $!; wait"]
    with subprocess.Popen(parent, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        group = os.getpgid(child)

        kill(process)  # waits until nobody holds the pipe any more, which the child does for 1000 s

    assert group == process.pid
    assert process.returncode == -signal.SIGKILL
