"""The sandbox refuses what Lambda refuses, so that what runs in it has been tried; and the handler's cures for that."""

import sys
from pathlib import Path

import pytest

from layer.bundle import sandbox

CONNECT = "import socket; socket.create_connection(('127.0.0.1', 9), 2)"
RESOLVE = "import socket; socket.getaddrinfo('localhost', 80)"
WRITE_HOME = "from pathlib import Path; home = Path.home() / 'made'; home.mkdir(parents=True); print(home)"


@pytest.fixture(params=["namespaces", "guard"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "guard":
        monkeypatch.setattr(sandbox, "namespaces", lambda: ())
    assert request.param == "guard" or sandbox.namespaces(), "this system lets nobody make namespaces"
    return str(request.param)


def test_there_is_no_network(tmp_path: Path, kind: str) -> None:
    run = sandbox.run(tmp_path, ["-c", CONNECT])

    refusal = {"namespaces": "Network is unreachable", "guard": "this process has no network"}[kind]
    assert run.returncode == 1
    assert refusal in run.stderr


def test_the_guard_refuses_names_too_and_says_what_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "namespaces", lambda: ())

    assert "socket.getaddrinfo('localhost'" in sandbox.run(tmp_path, ["-c", RESOLVE]).stderr


def test_a_module_runs_with_its_arguments(tmp_path: Path, kind: str) -> None:
    run = sandbox.run(tmp_path, ["-m", "json.tool", "--compact", "/dev/stdin"])

    assert (run.returncode, "Expecting value" in run.stderr) == (1, True), run.stderr


def test_the_bundle_cannot_be_written_even_by_root(tmp_path: Path) -> None:
    run = sandbox.run(tmp_path, ["-c", f"open({str(tmp_path / 'new')!r}, 'w')"])

    assert "Read-only file system" in run.stderr
    assert not list(tmp_path.iterdir())


def test_there_is_no_shared_memory_and_the_handler_needs_none(tmp_path: Path) -> None:
    """A semaphore fails here as in Lambda; tests/offline/test_pitfalls.py serves a bundle in the same sandbox."""
    run = sandbox.run(tmp_path, ["-c", "import multiprocessing; multiprocessing.Lock()"])

    assert run.returncode == 1
    assert "OSError" in run.stderr or "PermissionError" in run.stderr, run.stderr


def test_home_cannot_be_written_until_the_handler_is_imported(tmp_path: Path, kind: str) -> None:
    without = sandbox.run(tmp_path, ["-c", WRITE_HOME])
    cured = sandbox.run(tmp_path, ["-c", f"from handler import offline; {WRITE_HOME}"])

    assert without.returncode == 1, without.stdout
    assert cured.returncode == 0, cured.stderr


def test_the_interpreter_is_this_one(tmp_path: Path, kind: str) -> None:
    assert sandbox.run(tmp_path, ["-c", "import sys; print(sys.executable)"]).stdout.strip() == sys.executable
