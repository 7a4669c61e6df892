"""Cold start, latency and memory, side by side with the plain recipe: `make bench`. Measures a machine, not AWS."""

from console import preflight

if preflight.starts_command():
    preflight.check(preflight.BUILDER)
