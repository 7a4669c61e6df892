"""One build at a time in a directory: who comes second is told by whom it is held; no lock outlives its process."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from layer.errors import HeldError
from layer.files.directory_lock import held

HOLD = (
    "import sys, pathlib\nfrom layer.files.directory_lock import held\n"
    "with held(pathlib.Path(sys.argv[1]), 'the cache'):\n"
)


def start(path: Path, command: str = "print('held', flush=True); sys.stdin.read()") -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", f"{HOLD}    {command}", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_build_names_the_process_the_host_and_since_when(tmp_path: Path) -> None:
    path = tmp_path / "cache" / ".lock"
    first = start(path)

    with pytest.raises(HeldError) as caught, held(path, "the cache"):
        pass

    first.communicate()
    for part in ("the cache is in use by process", str(first.pid), socket.gethostname(), "since 20", str(path)):
        assert part in str(caught.value)
    with held(path, "the cache"):
        pass
    assert list(path.parent.iterdir()) == []


def test_a_lock_of_a_killed_process_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    first = start(path)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    left = json.loads(path.read_text())
    path.write_text(json.dumps({**left, "command": "build " * 30}))  # longer than what is written next

    with held(path, "the cache"):
        assert json.loads(path.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("made_again", [False, True])
def test_a_file_that_its_holder_removed_meanwhile_is_not_the_lock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made_again: bool
) -> None:
    """Whoever held it ended between `open` and the lock, and somebody else may have made the next file."""
    path, locked = tmp_path / ".lock", fcntl.flock

    def late(stream: Any, how: int) -> None:
        monkeypatch.undo()
        path.unlink()
        if made_again:
            path.touch()
        locked(stream, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with held(path, "the cache"), pytest.raises(HeldError), held(path, "the cache"):
        pytest.fail("two hold it")


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / ".lock").symlink_to(tmp_path / "somebody's file")

    with pytest.raises(HeldError, match="is a link: remove it"), held(tmp_path / ".lock", "the cache"):
        pass
    assert not (tmp_path / "somebody's file").exists()


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


def assert_refused(path: Path, says: str) -> None:
    with pytest.raises(HeldError, match=says), held(path, "the cache"):
        pass


def write(path: Path, **holder: object) -> Path:
    own = path.with_name(f"{path.name}.process")
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": "2026-01-01 00:00:00 UTC", **holder}
    own.write_text(json.dumps(facts))
    return own


@pytest.mark.usefixtures("no_locks")
def test_without_the_systems_locks_it_says_so_and_a_file_takes_their_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ".lock"

    with held(path, "the cache"):
        assert_refused(path, f"in use by process {os.getpid()} on")

    assert "has no locks" in capsys.readouterr().err
    assert not path.with_name(".lock.process").exists()


@pytest.mark.usefixtures("no_locks")
def test_a_lock_file_of_a_process_that_is_gone_is_taken_over_and_one_of_another_host_is_not(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    gone = subprocess.Popen(["true"])
    gone.wait()
    write(path, pid=gone.pid)
    with held(path, "the cache"):
        pass
    path.with_name(".lock.process").write_text('{"pid": 1')  # of a writer that was killed
    with held(path, "the cache"):
        pass

    own = write(path, pid=gone.pid, host="another")
    assert_refused(path, f"on another since .* the lock is {own}; if that process is gone, remove it")
    write(path)
    assert_refused(path, "is in use")
