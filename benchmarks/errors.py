"""What stops a benchmark."""


class BenchmarkError(Exception):
    """A step of the benchmark failed, or its results could not be written; the message says what to do."""
