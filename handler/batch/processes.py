"""Shards of a local run, spread over processes: each loads the model once. One that is killed is replaced."""

from handler import offline  # noqa: F401, I001 - before all else: a process begins by importing this module

import multiprocessing
import os
import signal
import sys
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from handler.batch import shard
from handler.batch.files import explained
from handler.batch.reader import FolderReader, TransientError
from handler.batch.store import Directory
from handler.errors import ApiError, StartError
from handler.manifest import IMAGE
from handler.service import Service

SAVED_EVERY = 16  # images: a file on this machine costs nothing to write
TRIES = 3  # of a shard whose process is killed before its model is loaded: by then it is the machine's memory
MOST_TRIES = 20  # of one whose images kill it: five find one of them
READY = {"ready": True}


def outcomes(
    names: Sequence[str], source: Path, output: Path, max_failed: float | None, processes: int
) -> Generator[dict[str, Any]]:
    """Run the plan files `names`, and yield the outcome of each as `shard.run` tells it, or `error` with a message.

    A shard whose process is killed is run again by a new one; what it saved is not done again, and an image that kills
    its process is left out, as handler.batch.one_by_one has it.
    Raises StartError where no process can load the model.
    """
    processes = min(processes, max(1, len(names)))
    # Each process has its share of the processors; a setting of the user's own stays.
    os.environ.setdefault("OPENCLIP_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    crew = _Crew(names, processes, partial(_start, source.absolute(), output.absolute(), max_failed))
    try:
        while crew.at_work():
            yield from crew.outcomes()
    finally:
        crew.stop()


class _Worker(NamedTuple):
    process: BaseProcess
    connection: Connection

    def give(self, name: str, again: bool) -> None:
        with suppress(OSError):  # it is gone already, as the next answer tells
            self.connection.send((name, again))

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


class _Crew:
    """The processes, and which shard each of them has."""

    def __init__(self, names: Sequence[str], processes: int, start: Callable[[], _Worker]) -> None:
        self._start = start
        self._waiting = deque(names)
        self._killed = Counter[str]()
        self._ready = set[BaseProcess]()
        self._idle = [start() for _ in range(processes)] if names else []
        self._busy: list[tuple[_Worker, str]] = []

    def at_work(self) -> bool:
        """Give every idle process a shard; tells whether any has one."""
        while self._idle and self._waiting:
            worker, name = self._idle.pop(), self._waiting.popleft()
            self._busy.append((worker, name))
            worker.give(name, self._killed[name] > 0)
        return bool(self._busy)

    def outcomes(self) -> Iterator[dict[str, Any]]:
        """Wait for one process at least, and yield what those that are done found."""
        done = wait([worker.connection for worker, _ in self._busy])
        answered = [item for item in self._busy if item[0].connection in done]
        self._busy = [item for item in self._busy if item not in answered]
        for worker, name in answered:
            try:
                outcome = worker.connection.recv()
            except (EOFError, OSError):
                outcome = self._replace(worker, name)
            else:
                if outcome == READY:
                    self._ready.add(worker.process)
                    self._busy.append((worker, name))
                    continue
                self._idle.append(worker)
            if outcome and "unready" in outcome:
                raise StartError(outcome["unready"])
            if outcome:
                yield outcome

    def _replace(self, worker: _Worker, name: str) -> dict[str, Any] | None:
        """Start another process for one that is gone; returns the shard's outcome where it is not to be tried again."""
        worker.stop()
        self._idle.append(self._start())
        self._killed[name] += 1
        if self._killed[name] < (MOST_TRIES if worker.process in self._ready else TRIES):
            self._waiting.appendleft(name)
            return None
        code = worker.process.exitcode or 0
        return {
            "error": f"{name}: its process ended {self._killed[name]} times before it was done (the last with "
            f"{f'signal {-code}' if code < 0 else f'status {code}'}; a line above may say why, and without one it was "
            "killed, perhaps for its memory: give fewer --processes). Finished shards are kept"
        }

    def stop(self) -> None:
        """End all processes."""
        for worker in [*self._idle, *(worker for worker, _ in self._busy)]:
            worker.stop()


def _start(source: Path, output: Path, max_failed: float | None) -> _Worker:
    context = multiprocessing.get_context("spawn")  # engines keep threads, which a fork would lose
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, source, output, max_failed), daemon=True)
    with _without_ctrl_c():
        process.start()
    theirs.close()  # so that the pipe ends when the process does
    return _Worker(process, ours)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Hold Ctrl-C back in this thread: a process that it starts never gets it, not even while it imports."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # which lets it through when it is started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, source: Path, output: Path, max_failed: float | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started this, also on Windows
    try:
        work = _prepare(source, output)
        connection.send(READY)
        while True:
            name, again = connection.recv()
            connection.send(_shard(name, work, output, max_failed, again))
    except (StartError, ApiError) as error:
        connection.send({"unready": str(error)})
    except (EOFError, OSError):
        return  # nobody asks any more


def _prepare(source: Path, output: Path) -> shard.Work:
    service = Service.start(os.environ)
    model = service.model(None, (IMAGE,))
    reader = FolderReader(source, service.settings.max_object_bytes)
    return shard.Work(model, service.models.vectors_sha256(), service.settings, reader, Directory(output), SAVED_EVERY)


def _shard(name: str, work: shard.Work, output: Path, max_failed: float | None, again: bool) -> dict[str, Any]:
    try:
        return shard.run(name, work, max_failed, again)
    except (shard.ShardError, FloatingPointError) as error:
        return {"error": str(error)}
    except TransientError as error:
        return {"error": f"{name}: {error}"}
    except OSError as error:
        return {"error": f"{name}: {explained(error, output)}"}
