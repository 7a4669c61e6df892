"""Many images in the emulated bucket, workers that are killed, and a count of what was read of them."""

import functools
import json
import os
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from tests.e2e.aws import Aws
from tests.e2e.collection import SOURCE, drawn
from tests.e2e.deployment import Deployment
from tests.e2e.engine import EngineError, docker
from tests.patience import SECONDS

IMAGES = int(os.environ.get("BATCH_IMAGES", "2000"))  # `make batch-scale` has 10,000
BROKEN_EVERY = 100  # 1 %
PREFIX = "in/many/"
SENDERS = 16
READ = re.compile(rf" GET /{SOURCE}/({PREFIX}\S+) -> ")
kept = functools.cache(drawn)


def key(number: int) -> str:
    return f"{PREFIX}{number:06d}.{'jpg' if is_broken(number) else 'png'}"


def is_broken(number: int) -> bool:
    return number % BROKEN_EVERY == BROKEN_EVERY - 1


@contextmanager
def uploaded(batch: Deployment) -> Iterator[None]:
    """Hold IMAGES objects below PREFIX, whose arrival nobody hears of. What runs wrote of them goes with them."""
    s3 = batch.aws.client("s3")
    before = names(s3, batch.outputs["BatchBucket"])
    with _silent(s3), ThreadPoolExecutor(SENDERS) as pool:
        put = functools.partial(s3.put_object, Bucket=SOURCE)
        list(
            pool.map(
                lambda number: put(Key=key(number), Body=b"no image" if is_broken(number) else kept(number % 128)),
                range(IMAGES),
            )
        )
    try:
        yield
    finally:
        _remove(s3, batch.outputs["BatchBucket"], names(s3, batch.outputs["BatchBucket"]) - before)
        with _silent(s3):
            _remove(s3, SOURCE, names(s3, SOURCE, PREFIX))


@contextmanager
def _silent(s3: Any) -> Iterator[None]:
    put = functools.partial(s3.put_bucket_notification_configuration, Bucket=SOURCE)
    put(NotificationConfiguration={})
    try:
        yield
    finally:
        put(NotificationConfiguration={"EventBridgeConfiguration": {}})


def names(s3: Any, bucket: str, prefix: str = "") -> set[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {item["Key"] for page in pages for item in page.get("Contents", ())}


def _remove(s3: Any, bucket: str, names: set[str]) -> None:
    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(lambda name: s3.delete_object(Bucket=bucket, Key=name), names))


def workers(batch: Deployment) -> list[str]:
    """Return the containers of the worker that run."""
    mark = f"AWS_LAMBDA_FUNCTION_NAME={batch.outputs['BatchWorker']}"
    running = docker("ps", "--quiet", "--filter", "label=ministack=lambda").split()
    found = []
    for container in running:
        try:
            variables = json.loads(docker("inspect", "--format", "{{json .Config.Env}}", container))
        except EngineError:
            continue  # gone since
        found += [container] if mark in variables else []
    return found


def kill(containers: Iterable[str]) -> None:
    """Kill them as the kernel does it that is out of memory."""
    for container in containers:
        with suppress(EngineError):  # it ended by itself
            docker("kill", "--signal", "KILL", container)


@contextmanager
def without_waiting(aws: Aws) -> Iterator[None]:
    """Let Step Functions wait for no retry."""
    _configure(aws, "stepfunctions._SFN_WAIT_SCALE", 0)
    try:
        yield
    finally:
        _configure(aws, "stepfunctions._SFN_WAIT_SCALE", 1)


def _configure(aws: Aws, name: str, value: float) -> None:
    url, body = f"http://127.0.0.1:{aws.port}/_ministack/config", json.dumps({name: value}).encode()
    with urllib.request.urlopen(url, body, timeout=SECONDS) as answer:
        assert name in json.loads(answer.read())["applied"]


class Reads:
    """Counts how often the images below PREFIX were asked for from now on, by the emulator's log."""

    def __init__(self, aws: Aws) -> None:
        self._log, self._offset, self._counts = aws.log, aws.log.stat().st_size, Counter[str]()

    def all(self) -> int:
        """Return how many requests there were."""
        with self._log.open(errors="replace") as stream:
            stream.seek(self._offset)
            self._counts.update(READ.findall(stream.read()))
            self._offset = stream.tell()
        return self._counts.total()

    def again(self) -> int:
        """Return how many of them were for an image that had been asked for before."""
        return self.all() - len(self._counts)


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.2)
