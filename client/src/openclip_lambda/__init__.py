"""A client for the deployed API: images and texts in, embeddings or label scores out, for one or for thousands."""

__version__ = "0.2.0"
