"""Two towers and a tokenizer are loaded at once, and whatever fails is told."""

import threading
from collections.abc import Callable

import pytest

from handler.engines.parallel_load import Started, load_in_parallel


def tower(name: str, after: Callable[[], object]) -> Callable[[Started], str]:
    def make(started: Started) -> str:
        started()
        after()
        return name

    return make


def test_the_towers_are_under_way_while_the_tokenizer_is_read() -> None:
    together = threading.Barrier(3, timeout=60)  # breaks, as an error, unless all three are in it at one time

    def tokenizer() -> str:
        together.wait()
        return "tokenizer"

    loaded = load_in_parallel([tower("image", together.wait), tower("text", together.wait)], tokenizer)

    assert loaded == (["image", "text"], "tokenizer")


def test_the_tokenizer_does_not_start_before_a_tower_has_started() -> None:
    events = []
    slow = threading.Event()

    def late(started: Started) -> str:
        slow.wait(0.05)  # never set: time in which a tokenizer that does not wait would be first
        events.append("image")
        started()
        return "image"

    load_in_parallel([late, tower("text", lambda: None)], lambda: events.append("tokenizer"))

    assert events == ["image", "tokenizer"]


@pytest.mark.parametrize("broken", range(3))
def test_a_part_that_cannot_be_loaded_is_an_error(broken: int) -> None:
    def fail(*_: Started) -> str:
        raise OSError("unreadable")

    parts: list[Callable[..., str]] = [lambda *_: "fine"] * 3
    parts[broken] = fail
    with pytest.raises(OSError, match="unreadable"):
        load_in_parallel(parts[:2], parts[2])


def test_one_tower_alone_is_loaded_without_a_tokenizer() -> None:
    assert load_in_parallel([tower("image", lambda: None)], None) == (["image"], None)
