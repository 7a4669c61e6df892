"""Numbers of things in the messages of three packages that share no code: English has one form for 1 alone."""

from collections.abc import Callable

import openclip_lambda.counts
import pytest

import console.counts
import handler.errors

COUNTED = (console.counts.counted, handler.errors.counted, openclip_lambda.counts.counted)


@pytest.mark.parametrize("counted", COUNTED, ids=lambda function: function.__module__)
@pytest.mark.parametrize(("number", "told"), [(0, "0 shards"), (1, "1 shard"), (2, "2 shards"), (1001, "1,001 shards")])
def test_one_thing_is_told_in_the_singular(counted: Callable[[int, str], str], number: int, told: str) -> None:
    assert counted(number, "shard") == told
