"""Licenses before a build, as the hub states them today."""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from layer.errors import FetchError, UnreachableError
from layer.progress import bar
from layer.sources.fetch import WORKERS
from layer.sources.hub import repository

UNKNOWN = "not known: "  # and then the reason, in the place of a license that the hub did not state


def stated(repos: Collection[str], known: Mapping[str, str]) -> dict[str, str]:
    """Return the license of each repository, as the hub states it; if the hub does not answer, the reason instead.

    `known` are licenses that prepared sources state: for these the hub is not asked. A hub that cannot be reached for
    the first is not asked for the others.
    """
    asked = [repo for repo in repos if repo not in known]
    answered, unreachable = list[str](), list[str]()

    def ask(repo: str) -> str:
        if unreachable:
            return unreachable[0]
        try:
            told = repository(repo, None).license or "not stated"
            answered.append(repo)
        except FetchError as error:
            told = f"{UNKNOWN}{error}"
            if isinstance(error, UnreachableError) and not answered:
                unreachable.append(told)
        return told

    with ThreadPoolExecutor(WORKERS) as pool, bar("asking the hub", len(asked), unit="answer") as shown:
        found = {}
        for repo, answer in zip(asked, pool.map(ask, asked), strict=True):
            found[repo] = answer
            shown.update()
    return {repo: known[repo] if repo in known else found[repo] for repo in repos}
