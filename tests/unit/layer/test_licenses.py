"""Licenses as the hub states them, before a build."""

from types import SimpleNamespace

import pytest

from layer.errors import FetchError, UnreachableError
from layer.sources import licenses
from layer.sources.fetch import WORKERS


def test_one_slow_answer_leaves_one_license_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def repository(repo: str, _: str | None) -> SimpleNamespace:
        if repo == "acme/20":
            raise UnreachableError("no answer")
        return SimpleNamespace(license="mit")

    monkeypatch.setattr(licenses, "repository", repository)
    names = [f"acme/{number}" for number in range(100)]

    unknown = {repo: told for repo, told in licenses.stated(names, {}).items() if told != "mit"}
    assert unknown == {"acme/20": "not known: no answer"}


@pytest.mark.parametrize(("error", "most"), [(UnreachableError, WORKERS), (FetchError, 100)])
def test_a_hub_that_cannot_be_reached_is_not_asked_for_every_repository(
    error: type[FetchError], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each question waits for seconds where no network answers. A refusal of one repository says nothing of others."""
    asked = []

    def repository(repo: str, _: str | None) -> None:
        asked.append(repo)
        raise error("no answer")

    monkeypatch.setattr(licenses, "repository", repository)
    names = [f"acme/{number}" for number in range(100)]

    assert licenses.stated(names, {"acme/0": "mit"}) == {
        "acme/0": "mit",
        **dict.fromkeys(names[1:], "not known: no answer"),
    }
    assert 1 <= len(asked) <= most
    assert len(asked) == 99 or error is UnreachableError
