"""A burst of 500 changes, some of them twice, late, replaced, deleted or broken: the state ends as the bucket's."""

import random
import time
from pathlib import Path
from typing import Any

import numpy as np

from handler.batch import arrivals
from tests.unit.batch_world import SOURCE, newest, png, vector, world
from tests.unit.handler.batch.test_arrivals import message

CHANGES, KEYS = 500, 200
AT_ONCE = 100  # messages of one invocation, as infra/arrivals.py has it


def test_500_changes_in_a_burst_end_in_the_buckets_state_within_a_minute(tmp_path: Path) -> None:
    chance = random.Random(15)  # noqa: S311 - the same for every run
    truth: dict[str, int | None] = {}
    events: list[dict[str, Any]] = []
    with world(tmp_path / "bundle") as made:
        for number in range(CHANGES):
            key = f"{chance.randrange(KEYS):03d}.png"
            if key in truth and chance.random() < 0.3:
                made.s3.delete_object(Bucket=SOURCE, Key=key)
                del truth[key]
                events.append(message(key, "Object Deleted", number))
                continue
            broken = chance.random() < 0.05
            truth[key] = None if broken else number % 256
            made.put(key, b"no image" if broken else png(number % 256))
            events.append(message(key, number=number))
        sent = events + chance.sample(events, 50)
        chance.shuffle(sent)
        started = time.process_time()
        for start in range(0, len(sent), AT_ONCE):
            assert arrivals.run(sent[start : start + AT_ONCE], made.work) == {"batchItemFailures": []}
        assert time.process_time() - started < 60
        found = newest(made.download(tmp_path / "out"))
        errors = {line for name in made.names("errors/") for line in made.work.store.read(name).splitlines()}
    good = {key: red for key, red in truth.items() if red is not None}
    assert set(found) == set(good)
    for key, red in good.items():
        np.testing.assert_allclose(found[key], vector(red), atol=1e-6)
    broken_keys = {key for key, red in truth.items() if red is None}
    assert broken_keys
    assert all(any(f'"{key}"'.encode() in line for line in errors) for key in broken_keys)
