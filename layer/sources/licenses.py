"""Licenses before a build, as the hub states them today."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from layer.errors import FetchError
from layer.progress import bar
from layer.sources.fetch import WORKERS
from layer.sources.hub import repository


def stated(repos: Collection[str]) -> dict[str, str]:
    """Ask the hub for the license of each repository; where it cannot say, the reason stands in its place."""
    with ThreadPoolExecutor(WORKERS) as pool, bar("asking the hub", len(repos), unit="answer") as shown:
        found = {}
        for repo, answer in zip(repos, pool.map(_stated, repos), strict=True):
            found[repo] = answer
            shown.update()
        return found


def _stated(repo: str) -> str:
    try:
        return repository(repo, None).license or "not stated"
    except FetchError as error:
        return f"not known: {error}"
