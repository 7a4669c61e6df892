"""A client for the deployed API: pictures and texts in, embeddings or label scores out, for one or for thousands."""
