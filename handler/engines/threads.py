"""How many threads an engine gets: OPENCLIP_THREADS, else the vCPUs of Lambda's memory setting, else all processors."""

import os
from collections.abc import Mapping

from handler.settings import Settings

MB_PER_VCPU = 1769  # AWS Lambda's documentation, "Configure Lambda function memory"


def thread_count(settings: Settings, environ: Mapping[str, str] = os.environ) -> int:
    """Return the number of threads, at least 1; without the setting, at most the processors that are visible."""
    if settings.threads:
        return settings.threads
    # A small function sees two processors and may use a fraction of one: a second thread would only wait. It helps
    # from one and a half processors on, so the share is rounded. (sched_getaffinity is Linux only.)
    visible = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    return min(visible, max(1, round(int(memory) / MB_PER_VCPU))) if memory.isdecimal() else visible
