"""What `build --locked` refuses: each thing that models.lock does not have as it is asked for."""

from pathlib import Path

import pytest

from layer.errors import LockError
from layer.sources import lock_check
from layer.sources.expected import Expected
from layer.sources.fetch import Located
from layer.sources.lock import Lock, LockedFile, LockedSource
from layer.sources.lock_check import refuse_drift, refuse_unpinned
from layer.sources.resolve import Need
from layer.spec import ModelSpec

OLD, NEW = "a" * 40, "b" * 40
MODEL = ModelSpec("hf-hub:acme/tiny")
OTHER = ModelSpec("hf-hub:acme/other")


def pin(repo: str = "acme/tiny", asked: str | None = None, roles: tuple[str, ...] = ("weights",)) -> LockedSource:
    return LockedSource(repo, asked, OLD, roles, None, {"config.json": LockedFile(2, "0" * 64)})


def found(repo: str = "acme/tiny", revision: str = OLD, role: str = "weights", files: str = "config.json") -> Located:
    expected = {name: Expected(2, None) for name in files.split()}
    return Located(Need(repo, (role,)), None, revision, None, Path("cache"), expected)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (found("acme/words", role="tokenizer"), "takes its tokenizer from acme/words, which is not in the lock"),
        (found(revision=NEW), f"acme/tiny is at {NEW}, models.lock has {OLD}"),
        (found(revision=NEW, role="checkpoint"), "config or tokenizer have other contents than when the lock was made"),
        (found(files="vocab.json config.json merges.txt"), "merges.txt, vocab.json of acme/tiny is not in the lock"),
    ],
)
def test_what_the_lock_has_not_is_refused_by_name(source: Located, said: str) -> None:
    pins: Lock = {MODEL.id: (pin(),), OTHER.id: (pin(),)}
    refuse_unpinned([MODEL, OTHER], [[found()], [found()]], pins)
    with pytest.raises(LockError) as refused:
        refuse_unpinned([MODEL, OTHER], [[found()], [found(), source]], pins)
    lines = str(refused.value).splitlines()[1:-1]
    assert len(lines) == 1
    assert said in lines[0]
    assert OTHER.id in lines[0]


def test_a_pin_of_another_model_is_no_pin() -> None:
    with pytest.raises(LockError, match="acme/tiny, which is not in the lock"):
        refuse_unpinned([MODEL], [[found()]], {MODEL.id: (), OTHER.id: (pin(),)})


def test_the_branch_that_was_asked_for_is_compared_and_a_checkpoint_of_ones_own_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commits = {("acme/tiny", None): OLD, ("acme/tiny", "v2"): NEW}
    monkeypatch.setattr(lock_check, "current_commit", lambda repo, asked: commits[repo, asked])
    own = pin("local/file", roles=("weights", "checkpoint"))
    refuse_drift([MODEL], {MODEL.id: (pin(), own), OTHER.id: (pin(asked="v2"),)})  # which is not built
    with pytest.raises(LockError, match=f"newer commits:\n  acme/tiny is at {NEW}, models.lock has {OLD}\n"):
        refuse_drift([MODEL, OTHER], {MODEL.id: (pin(),), OTHER.id: (pin(asked="v2"),)})


@pytest.mark.parametrize("ask", [True, False])
def test_a_model_that_the_lock_has_not_is_refused_offline_too(monkeypatch: pytest.MonkeyPatch, ask: bool) -> None:
    monkeypatch.setattr(lock_check, "current_commit", lambda *_: OLD if ask else pytest.fail("the hub was asked"))
    refuse_drift([MODEL], {MODEL.id: (pin(),)}, ask)
    with pytest.raises(LockError, match=f"models.lock has no {OTHER.id}: run"):
        refuse_drift([MODEL, OTHER], {MODEL.id: (pin(),)}, ask)
