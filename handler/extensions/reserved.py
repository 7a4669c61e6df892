"""The paths that are ours: no route of your own may have one. tests/contracts/test_extension_facts.py compares them."""

FREE = "/ext/"  # no release will ever have a path of ours below it
PATHS = (
    "/",
    "/.well-known/live",
    "/.well-known/ready",
    "/docs",
    "/embed",
    "/health",
    "/meta",
    "/openapi.json",
    "/ping",
    "/predict",
    "/v1/classify",
    "/v1/embeddings",
    "/v1/index",
    "/v1/models",
    "/v1/models/{model}",
    "/v1/multimodalembeddings",
    "/v1/search",
    "/v1/search/image",
    "/v1/similarity",
    "/v2/embed",
    "/vectorize",
)
PREFIXES = ("/k/", "/v1/models/")  # an API key, or a model's id, may stand behind them


def is_ours(path: str) -> bool:
    """Tell whether a path is one of ours, in whatever case."""
    lower = path.lower()
    return lower in PATHS or lower.startswith(PREFIXES)
