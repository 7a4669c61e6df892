"""Licences before a build, as the hub states them today."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

from layer.errors import FetchError
from layer.fetch import WORKERS
from layer.hub import repository


def stated(repos: Collection[str]) -> dict[str, str]:
    """Ask the hub for the licence of each repository; where it cannot say, the reason stands in its place."""
    with ThreadPoolExecutor(WORKERS) as pool:
        answers = tqdm(pool.map(_stated, repos), total=len(repos), desc="asking the hub", unit="repository")
        return dict(zip(repos, answers, strict=True))


def _stated(repo: str) -> str:
    try:
        return repository(repo, None).license or "not stated"
    except FetchError as error:
        return f"not known: {error}"
