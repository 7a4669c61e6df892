"""What a killed run costs: of what was answered, one batch at most is asked again, whatever number is on its way."""

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from openclip_lambda.bulk.journal import journal_path
from openclip_lambda.cli import main as cli

from tests.unit.client.conftest import python, scripting, texts
from tests.unit.client.test_resume import Batched

BATCH, JOBS, PATIENCE = 5, 8, 20
KILLED = "/killed"  # where the run that is killed sends its requests
SLOW = "text 7"


class OneByOne(Batched):
    """Answers a request once the results of the one before are on the client's disk, and kills the client in time.

    The request with SLOW is not answered before that, and the last answer before that does not arrive.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__()
        self.journal = journal
        self.one, self.dead = threading.Lock(), threading.Event()
        self.answered: Counter[str] = Counter()
        self.process: subprocess.Popen[bytes] | None = None
        self.last = 0  # of the batches that are answered before the kill
        self.answer = self.in_turn

    def in_turn(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        found = [item["text"] for item in json.loads(body)["input"]]
        of_killed = path.startswith(KILLED)  # a thread of this server may come to such a request long after the kill
        if of_killed and SLOW in found:
            self.dead.wait(PATIENCE)
        with self.one:
            if not of_killed:
                self.answered.update(found)
            elif not self.dead.is_set():
                self._answer_and_kill_in_time(found)
        return self.respond(path, body)

    def _answer_and_kill_in_time(self, found: list[str]) -> None:
        self._wait(self.answered.total() // BATCH)
        self.answered.update(found)
        if self.process and self.answered.total() == self.last * BATCH:
            self.process.kill()
            self.dead.set()

    def run_until(self, last: int, *arguments: str) -> None:
        """Run the command and kill it at the answer of that number."""
        with self.one:  # no request is answered before the process is known
            self.process, self.last = python(*arguments, "--url", self.url + KILLED), last
        self.process.communicate(timeout=60)

    def _wait(self, answers: int) -> None:
        end = time.monotonic() + PATIENCE
        while self.journal.read_bytes().count(b'"items"') < answers and time.monotonic() < end:
            time.sleep(0.002)


@pytest.fixture
def one_by_one(tmp_path: Path) -> Iterator[OneByOne]:
    yield from scripting(OneByOne(journal_path(tmp_path / "out.npy")))  # type: ignore[misc]


def test_a_resumed_run_sends_at_most_one_answered_batch_again(one_by_one: OneByOne, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    count = ("--batch", str(BATCH), "--jobs", str(JOBS))
    arguments = ["embed", *texts(100), *count, "--output", str(out), "--resume"]
    one_by_one.run_until(8, *arguments)
    on_disk = one_by_one.journal.read_bytes().count(b'"items"')

    assert cli.main([*arguments, "--url", one_by_one.url]) == 0
    assert on_disk == 7  # also the six behind the one that was not answered
    assert set(one_by_one.answered) == {f"text {number}" for number in range(100)}
    assert one_by_one.answered.total() - len(one_by_one.answered) == BATCH
