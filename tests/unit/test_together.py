"""Two towers and a tokenizer are loaded at once, and whatever fails is told."""

import threading

import pytest

from handler.engines.together import load_together


def test_the_towers_are_under_way_when_the_tokenizer_begins() -> None:
    begun = threading.Barrier(3, timeout=10)  # breaks, as an error, unless all three are in it at one time

    def load(name: str) -> str:
        begun.wait()
        return name

    loaded = load_together(lambda: load("image"), lambda: load("text"), lambda: load("tokenizer"))

    assert loaded == ("image", "text", "tokenizer")


@pytest.mark.parametrize("broken", range(3))
def test_a_part_that_cannot_be_loaded_is_an_error(broken: int) -> None:
    def fail() -> str:
        raise OSError("unreadable")

    parts = [lambda: "fine"] * 3
    parts[broken] = fail
    with pytest.raises(OSError, match="unreadable"):
        load_together(*parts)
