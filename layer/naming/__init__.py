"""Names that people write: models, repositories, and what may become a path, a URL or a command."""
