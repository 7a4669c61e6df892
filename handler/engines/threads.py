"""How many threads pay: the processors that this process may use, or the share of them that Lambda's memory buys."""

import os
from collections.abc import Mapping

from handler.settings import Settings

MB_PER_VCPU = 1769  # AWS Lambda's documentation, "Configure Lambda function memory"


def thread_count(settings: Settings, environ: Mapping[str, str] = os.environ) -> int:
    """Return the setting where there is one, else what the memory setting gives, at most what the host shows."""
    if settings.threads:
        return settings.threads
    # A small function sees two processors and may use a fraction of one: a second thread would only wait for the first.
    # It pays from one and a half processors on. (sched_getaffinity is Linux only.)
    visible = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    return min(visible, max(1, round(int(memory) / MB_PER_VCPU))) if memory.isdecimal() else visible
