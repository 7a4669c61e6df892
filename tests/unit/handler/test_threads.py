"""How many threads are started for the processors that a memory setting buys: 1,769 MB each, as Lambda documents."""

import os

import pytest

from handler.engines.threads import thread_count
from handler.settings import Settings


@pytest.mark.parametrize(("memory", "threads"), [(512, 1), (1769, 1), (2048, 1), (3008, 2), (3538, 2), (10_240, 6)])
def test_a_thread_for_each_processor_that_memory_buys(
    memory: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert thread_count(settings(), {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory)}) == threads


def test_never_more_threads_than_processors_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert thread_count(settings(), {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "10240"}) == 2
    assert thread_count(settings(), {}) == 2


def test_the_setting_comes_first() -> None:
    assert thread_count(settings(OPENCLIP_THREADS="3"), {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}) == 3


def settings(**environ: str) -> Settings:
    return Settings.from_env({"OPENCLIP_BUNDLE_DIR": "/opt/bundle", **environ})
