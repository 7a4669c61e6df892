"""Several requests at once: all of them on their way all the time, in bounded memory, in the order of the inputs."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openclip_lambda.bulk.pool import Pool, ordered
from openclip_lambda.cli import main as cli

from tests.unit.client.conftest import ROOT, Recorder, Run, Scripted, result, scripting, texts

# Started by a small process: a child's peak counts its parent's memory, from before it became another program.
MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "client", *sys.argv[1:]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


PATIENCE = 30  # seconds: on a machine that has other work, too


class Together(Scripted):
    """Answers the first request alone, and no other one before so many are there; counts how many are there at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = self.begun = 0
        self.lock = threading.Lock()
        self.gate = threading.Barrier(1)
        self.answer = self.respond

    def respond(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        with self.lock:
            first = self.begun == 0
            self.begun += 1
            self.now += 1
            self.most = max(self.most, self.now)
        if not first:
            self.gate.wait(PATIENCE)
        with self.lock:
            self.now -= 1
        answered: tuple[int, dict[str, str], bytes] = result()(path, body)
        return answered


@pytest.fixture
def together() -> Iterator[Together]:
    yield from scripting(Together())  # type: ignore[misc]


@pytest.mark.parametrize("jobs", [1, 8])
def test_as_many_requests_as_were_asked_for_are_on_their_way_all_the_time(
    together: Together, tmp_path: Path, jobs: int
) -> None:
    together.gate, out = threading.Barrier(jobs), tmp_path / "out.jsonl"
    requests = 1 + 20 * jobs  # a server that takes as long for each is done with them in 21 times that
    arguments = ["embed", *texts(requests), "--batch", "1", "--jobs", str(jobs), "--url", together.url]

    assert cli.main([*arguments, "--output", str(out)]) == 0

    assert (together.begun, together.most) == (requests, jobs)
    assert [json.loads(line)["name"] for line in out.read_text().splitlines()] == [f"text {n}" for n in range(requests)]


def test_a_wrong_key_costs_one_request_however_many_are_sent_at_once(run: Run, tmp_path: Path) -> None:
    Recorder.refusals[:] = [403] * 100
    assert run("embed", *texts(64), "--batch", 1, "--jobs", 8, "--output", tmp_path / "out.npy") == 1
    assert len(Recorder.seen) == 1
    assert list(tmp_path.glob("out*")) == []


def test_memory_holds_what_is_on_its_way_and_not_the_folder(scripted: Scripted, tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    for number in range(150):  # 300 MB, and 400 more as base64
        with (album / f"{number}.png").open("wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n" + number.to_bytes(2, "big"))
            file.truncate(2_000_000)
    scripted.answer = result()
    scripted.requests = Forgetting()
    command = ["embed", album, "--jobs", "4", "--url", scripted.url, "--output", tmp_path / "out.npy"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, command)], cwd=ROOT, capture_output=True, check=True
    )
    peak = int(done.stdout.split()[-1]) / 1024

    assert len(np.load(tmp_path / "out.npy")) == 150
    assert peak < 380, f"{peak:.0f} MB"  # 60 of which are Python's with its packages


class Forgetting(list[Any]):
    """A list that keeps nothing."""

    def append(self, _: Any) -> None:
        """Forget it."""


def test_what_is_done_at_once_comes_in_order_and_no_further_ahead_than_asked() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        return number * number

    pool = Pool(4)
    for place, found in enumerate(ordered(pool, work, items(), 6)):
        assert found == place * place
        assert len(taken) <= place + 6
    pool.stop()


def test_the_first_goes_alone_and_an_error_comes_out_where_it_belongs() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 0:
            time.sleep(0.05)
        if number == 3:
            raise ValueError("three")
        return number

    pool = Pool(4)
    results = ordered(pool, work, range(9), 4, first_alone=True)
    assert next(results) == 0
    assert begun == [0]
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    pool.stop()
