"""What a run costs: each line is a quantity times a price, and shows its formula."""

import math
from typing import NamedTuple

from openclip_lambda.batch.prices import Prices
from openclip_lambda.counts import counted

MB_PER_VCPU = 1769  # AWS Lambda's documentation, "Configure Lambda function memory"
WORKER_SHARE = 0.95  # the least share of the benchmark's rate that a worker has
COLD_SECONDS = 5  # of a new execution environment, assumed; 0.8 were measured from the process to the first result
PLANNER_MB, PAGE_SECONDS = 512, 0.5  # the planner's memory; assumed for a page of 1,000 keys and its plan file
TRANSITIONS_A_SHARD = 3  # of its child execution: start, embed, end
TRANSITIONS_A_RUN = 4
GETS_A_SHARD = 4  # whether it is done, the run's settings, the plan, the first part
PUTS_A_SHARD = 4  # the plan, the vectors; errors and deletions where there are any
SAVED_EVERY, LISTS_A_SHARD = 128, 1  # images: a part is saved, for a worker that is killed; parts are listed once
PUTS_A_RUN = 11  # of Step Functions' result writer, and the run's settings
ROW_BYTES = 250  # of a row without its vector: the other columns, and its line of the plan, uncompressed
LOG_BYTES_A_SHARD = 12 * 1024  # assumed: the worker's lines, and the events of a child execution without its data
LIST_PAGE = 1000  # keys
GIB = 2**30
LIMIT_SECONDS = 900  # Lambda's, of one shard


class Work(NamedTuple):
    """What a run does. `vcpu_milliseconds` is what an image takes of one processor; `memory` is in MB."""

    images: int
    objects: int
    dimensions: int
    vcpu_milliseconds: float
    memory: int
    architecture: str = "x86_64"
    shard_size: int = 1000
    concurrency: int = 50

    @property
    def shards(self) -> int:
        """Plan files of the run."""
        return math.ceil(self.images / self.shard_size)

    @property
    def image_seconds(self) -> float:
        """Seconds that one worker takes for an image."""
        return self.vcpu_milliseconds / 1000 / WORKER_SHARE * MB_PER_VCPU / self.memory

    @property
    def pages(self) -> int:
        """Pages of keys of the source."""
        return math.ceil(self.objects / LIST_PAGE)

    @property
    def workers(self) -> int:
        """Workers at once."""
        return max(1, min(self.concurrency, self.shards))

    @property
    def hours(self) -> float:
        """Hours of the whole run, where Lambda starts as many workers at once as it may."""
        return (self.images * self.image_seconds / self.workers + (COLD_SECONDS if self.images else 0)) / 3600


class Line(NamedTuple):
    """One line: `quantity` times `price` are the `dollars`. `formula` is how the quantity comes about."""

    name: str
    quantity: float
    unit: str
    price: float
    dollars: float
    formula: str


def lines(work: Work, prices: Prices) -> list[Line]:
    """Return the lines of a run's cost, compute first. Failures and what is tried again are not in it."""
    price = prices.lambda_gb_second_arm64 if work.architecture == "arm64" else prices.lambda_gb_second_x86_64
    return [*_lambda(work, price, prices), *_requests(work, prices), *_kept(work, prices)]


def total(found: list[Line]) -> float:
    """Return the dollars of all lines."""
    return math.fsum(line.dollars for line in found)


def _lambda(work: Work, price: float, prices: Prices) -> list[Line]:
    shards, pages, gb, gb_a_vcpu = work.shards, work.pages, work.memory / 1024, MB_PER_VCPU / 1024
    planner, workers = PLANNER_MB / 1024, min(work.concurrency, work.shards)
    seconds = work.images * work.vcpu_milliseconds / 1000 / WORKER_SHARE
    a_vcpu = f"{work.vcpu_milliseconds:.2f} ms of a vCPU / {WORKER_SHARE} x {gb_a_vcpu:.3f} GB"
    compute, cold = (
        f"{counted(work.images, 'image')} x {a_vcpu}",
        f"{counted(workers, 'worker')} x {COLD_SECONDS} s x {gb:.3f} GB",
    )
    planning = f"{counted(pages, 'page')} of keys x {PAGE_SECONDS} s x {planner} GB"
    request = prices.lambda_requests_million / 1e6
    return [
        _line("compute", seconds * gb_a_vcpu, "GB-seconds", price, compute),
        _line("cold starts", workers * COLD_SECONDS * gb, "GB-seconds", price, cold),
        _line("planning", pages * PAGE_SECONDS * planner, "GB-seconds", prices.lambda_gb_second_x86_64, planning),
        _line("Lambda requests", shards + 1, "requests", request, f"{counted(shards, 'shard')} + 1"),
    ]


def _requests(work: Work, prices: Prices) -> list[Line]:
    shards, get, put = work.shards, prices.s3_get_thousand / 1000, prices.s3_put_thousand / 1000
    step, steps = prices.state_transitions_thousand / 1000, TRANSITIONS_A_SHARD * shards + TRANSITIONS_A_RUN
    puts = PUTS_A_SHARD + work.shard_size // SAVED_EVERY
    lists = math.ceil(shards / LIST_PAGE) + LISTS_A_SHARD * shards
    gets, put_all = work.images + GETS_A_SHARD * shards, puts * shards + PUTS_A_RUN
    listed = f"{counted(work.pages, 'page')} of keys, {lists:,} of plan files and parts"
    transitions = f"{TRANSITIONS_A_SHARD} x {counted(shards, 'shard')} + {TRANSITIONS_A_RUN}"
    return [
        _line("state transitions", steps, "transitions", step, transitions),
        _line(
            "S3 GET",
            gets,
            "requests",
            get,
            f"{counted(work.images, 'image')} + {GETS_A_SHARD} x {counted(shards, 'shard')}",
        ),
        _line("S3 PUT", put_all, "requests", put, f"{puts} x {counted(shards, 'shard')} + {PUTS_A_RUN}"),
        _line("S3 LIST", work.pages + lists, "requests", put, listed),
    ]


def _kept(work: Work, prices: Prices) -> list[Line]:
    shards, row = work.shards, 4 * work.dimensions + ROW_BYTES
    stored = f"{counted(work.images, 'image')} x (4 x {work.dimensions} + {ROW_BYTES}) bytes, one month"
    logged, logs = shards * LOG_BYTES_A_SHARD / GIB, f"{counted(shards, 'shard')} x {LOG_BYTES_A_SHARD // 1024} KB"
    return [
        _line("S3 storage", work.images * row / GIB, "GB-months", prices.s3_gb_month, stored),
        _line("logs", logged, "GB", prices.logs_gb, logs),
        _line("traces", shards, "traces", prices.traces_million / 1e6, f"{counted(shards, 'shard')}, one each at most"),
    ]


def _line(name: str, quantity: float, unit: str, price: float, formula: str) -> Line:
    return Line(name, quantity, unit, price, quantity * price, formula)
