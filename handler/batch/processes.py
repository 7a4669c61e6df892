"""Shards of a local run, spread over processes: each loads the model once."""

from handler import offline  # noqa: F401, I001 - before all else: a process begins by importing this module

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from handler.batch import shard
from handler.batch.reader import FolderReader
from handler.batch.store import Directory
from handler.errors import StartError
from handler.manifest import IMAGE
from handler.service import Service

_state: dict[str, Any] = {}  # of one process: what it embeds with


def outcomes(
    names: Sequence[str], source: Path, output: Path, max_failed: float, processes: int
) -> Iterator[dict[str, Any]]:
    """Run the plan files `names`, and yield the outcome of each as `shard.run` tells it, or `error` with a message.

    Raises StartError where a process was killed: what was written stays, and the same command goes on.
    """
    processes = min(processes, max(1, len(names)))
    # Each process has its share of the processors; a setting of the user's own stays.
    os.environ.setdefault("OPENCLIP_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    prepare = partial(_prepare, source.absolute(), output.absolute(), max_failed)
    context = multiprocessing.get_context("spawn")  # engines keep threads, which a fork would lose
    try:
        with ProcessPoolExecutor(processes, context, prepare) as pool:
            for done in as_completed([pool.submit(_shard, name) for name in names]):
                yield done.result()
    except BrokenProcessPool as error:
        raise StartError(
            "a process ended before its shard was done (a line above says why; without one it was killed, perhaps "
            "for its memory: give fewer --processes). Run the same command again: finished shards are kept"
        ) from error


def _prepare(source: Path, output: Path, max_failed: float) -> None:
    service = Service.start(os.environ)
    model = service.model(None, (IMAGE,))
    reader = FolderReader(source, service.settings.max_object_bytes)
    _state["work"] = shard.Work(model, service.models.manifest.sha256, service.settings, reader, Directory(output))
    _state["max_failed"] = max_failed


def _shard(name: str) -> dict[str, Any]:
    try:
        return shard.run(name, _state["work"], _state["max_failed"])
    except (shard.ShardError, OSError) as error:
        return {"error": str(error)}
