"""Clients of the real openai package that ask one API at once, and the outcome of every request.

`python -m tests.clients.load '<JSON of the arguments of run>'` in the clients' environment; prints the report as JSON.
"""

import json
import statistics
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import openai

from tests.patience import SECONDS

CAPTIONS = [f"a photo of {number} red circles" for number in range(8)]
OK = 200
CLOSE = 1e-4  # between two embeddings of one caption, in each component


@dataclass
class Seen:
    """What all clients saw. Lists, since appending is atomic."""

    attempts: list[tuple[int, int]] = field(default_factory=list)  # status, and how many tries came before it
    seconds: list[float] = field(default_factory=list)  # of each request that came home, its retries included
    failures: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # captions that were answered with another's embedding

    def note(self, response: Any) -> None:
        """Count a response as the wire had it, before the client retries."""
        self.attempts.append((response.status_code, int(response.request.headers["x-stainless-retry-count"])))


def run(url: str, host: str, clients: int, seconds: float, retries: int) -> dict[str, Any]:
    """Let `clients` ask for captions without a pause until `seconds` are over, and finish what they began.

    `host` is the API's name, `retries` what each client may try again.
    """
    seen, start = Seen(), threading.Barrier(clients)
    quiet = _client(url, host, retries, Seen())
    model = quiet.models.list().data[0].id
    expected = {caption: _embed(quiet, model, caption) for caption in CAPTIONS}

    def ask(number: int) -> None:
        caption, client = CAPTIONS[number % len(CAPTIONS)], _client(url, host, retries, seen)
        start.wait()
        end = time.monotonic() + seconds
        while (began := time.monotonic()) < end:
            try:
                embedding = _embed(client, model, caption)
            except openai.OpenAIError as error:
                seen.failures.append(f"{type(error).__name__}: {error}")
                continue
            seen.seconds.append(time.monotonic() - began)
            if max(abs(a - b) for a, b in zip(embedding, expected[caption], strict=True)) > CLOSE:
                seen.wrong.append(caption)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(ask, range(clients)))  # raises what a thread raised
    return _report(seen)


def _client(url: str, host: str, retries: int, seen: Seen) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{url}/v1",
        api_key="none is asked for",
        max_retries=retries,
        timeout=SECONDS,
        default_headers={"host": host},
        http_client=openai.DefaultHttpxClient(event_hooks={"response": [seen.note]}),
    )


def _embed(client: openai.OpenAI, model: str, caption: str) -> list[float]:
    embedding: list[float] = client.embeddings.create(model=model, input=caption).data[0].embedding
    return embedding


def _report(seen: Seen) -> dict[str, Any]:
    cuts = statistics.quantiles(seen.seconds, n=100)
    return {
        "requests": len(seen.seconds),
        "statuses": Counter(status for status, _ in seen.attempts),
        "retries": Counter(tries for status, tries in seen.attempts if status == OK),
        "seconds": {"median": cuts[49], "p99": cuts[98], "slowest": max(seen.seconds)},
        "failures": Counter(seen.failures),
        "wrong": Counter(seen.wrong),
    }


if __name__ == "__main__":
    print(json.dumps(run(**json.loads(sys.argv[1]))))
