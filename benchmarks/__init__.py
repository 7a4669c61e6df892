"""Cold start, latency and memory, side by side with the plain recipe: `make bench`. Measures a machine, not AWS."""
