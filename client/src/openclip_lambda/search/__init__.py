"""Search in a saved output: read it, rank it, show it."""
