"""A client for the deployed API: images and texts in, embeddings or label scores out, for one or for thousands."""

from console import preflight

if preflight.starts_command():
    preflight.check(preflight.CLIENT)
