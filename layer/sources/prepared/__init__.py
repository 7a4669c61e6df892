"""Models that somebody prepared: Hugging Face caches and plain folders, read as sources and never changed."""
