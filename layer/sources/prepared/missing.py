"""Report everything that prepared sources lack, for all models at once, if the hub cannot be asked for it."""

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from layer.errors import BuildError, SourceError, UnreachableError
from layer.findings.finding import Finding
from layer.network import environment
from layer.sources import fetch, hub, local_checkpoint, resolve
from layer.sources.lock import LockedSource
from layer.sources.prepared.search import Prepared
from layer.sources.resolve import Need
from layer.spec import ModelSpec

PinOf = Callable[[ModelSpec, str, str | None], LockedSource | None]
CACHE = "model_cache"


def refuse_missing(
    models: Sequence[ModelSpec],
    cache: Path,
    prepared: Prepared,
    pin_of: PinOf,
    roles: Sequence[str] = resolve.ROLES,
) -> None:
    """Raise SourceError naming everything for `roles` that no source has, unless the hub can be asked for it.

    `pin_of` gives the lock's entry of a model's repository, at the branch, tag or commit that is asked for.
    """
    search = _Search(cache, prepared, pin_of, roles)
    for model in models:
        search.model(model)
    if search.first is None and not search.unreachable:
        return
    found = _once([*search.found, *search.unreachable])
    if name := environment.offline():
        raise SourceError(_message(found, prepared, f"{name}={os.environ[name]} is set"))
    try:
        if search.first:
            hub.repository(*search.first)
    except UnreachableError as error:
        raise SourceError(_message(found, prepared, str(error))) from error
    for finding in _once(search.found):
        print(f"note: {finding.code}: {finding.where}: so the hub is asked ({finding.what})", file=sys.stderr)
    for unreachable in search.unreachable.values():
        raise unreachable


class _Search:
    """What is missing, gathered over models: `first` is a repository and its revision, for a question to the hub.

    `unreachable` are checkpoints at addresses that cannot be reached: no hub has them.
    """

    def __init__(self, cache: Path, prepared: Prepared, pin_of: PinOf, roles: Sequence[str]) -> None:
        self.cache, self.prepared, self.pin_of, self.roles = cache, prepared, pin_of, roles
        self.found: dict[Finding, None] = {}
        self.unreachable: dict[Finding, UnreachableError] = {}
        self.first: tuple[str, str | None] | None = None

    def model(self, model: ModelSpec) -> None:
        """Look for everything that a model needs; the text side is known only if its config is there."""
        if model.checkpoint:
            for need in resolve.limited(self._of_own(model), self.roles):
                self._look(model, need, None)
            return
        weights = resolve.weights_need(model)
        texts = self._texts(model, weights.repo, "config" in weights.roles)
        for need in resolve.limited(resolve.merge([weights, *texts]), self.roles):
            self._look(model, need, model.revision if need.repo == weights.repo else None)

    def _texts(self, model: ModelSpec, repo: str, has_config: bool) -> Sequence[Need]:
        """Return what the text side needs: by the config, even in an incomplete snapshot, else by the registry."""
        if not has_config:
            return resolve.text_needs(resolve.model_config(model, None))
        folder = self._folder(model, Need(repo, ("config",)), model.revision)
        config = folder / resolve.CONFIG_FILE if folder else self.prepared.peek(repo, resolve.CONFIG_FILE, model)
        if config is None:
            return self._known_texts(repo)
        try:
            return resolve.text_needs(resolve.model_config(model, config))
        except BuildError as error:
            self._note(Finding("unreadable", str(config), str(error)), repo, model.revision)
            return self._known_texts(repo)

    def _known_texts(self, repo: str) -> list[Need]:
        return [Need(text, ("tokenizer",)) for text in self.prepared.texts_of(repo)]

    def _of_own(self, model: ModelSpec) -> Sequence[Need]:
        try:
            return local_checkpoint.repository(model, self.cache, self.roles).needs
        except UnreachableError as error:
            self.unreachable[Finding("weights-missing", str(model.checkpoint), str(error))] = error
            return ()

    def _look(self, model: ModelSpec, need: Need, asked: str | None) -> None:
        if self._folder(model, need, asked) is None:
            pin = self.pin_of(model, need.repo, asked)
            for finding in self.prepared.findings(need, asked, pin, model):
                self._note(finding, need.repo, pin.revision if pin else asked)

    def _note(self, finding: Finding, repo: str, revision: str | None) -> None:
        self.first = self.first or (repo, revision)
        self.found[finding] = None

    def _folder(self, model: ModelSpec, need: Need, asked: str | None) -> Path | None:
        """Return the folder of a repository that is here: in a source, in the download cache, or of this project."""
        pin = self.pin_of(model, need.repo, asked)
        if found := self.prepared.find(need, asked, pin, model):
            return found.folder
        here = fetch.in_cache(need, asked, self.cache / "hub", pin)
        return here.folder if here else None


def _once(found: Iterable[Finding]) -> list[Finding]:
    """Leave out findings that a config cannot be read, if another finding says what is wrong with the file."""
    told = {finding.where for finding in found if finding.code != "unreadable"}
    return [finding for finding in found if finding.code != "unreadable" or finding.where not in told]


def _message(found: Sequence[Finding], prepared: Prepared, reason: str) -> str:
    places = ", ".join(str(place) for place in prepared.looked_in()) or "no prepared cache"
    count = "1 problem keeps" if len(found) == 1 else f"{len(found)} problems keep"
    lines = [f"{count} the models from being built offline. Looked in {places}"]
    for finding in found:
        lines += [f"{finding.code}: {finding.where}", f"  {finding.what}", f"  fix: {finding.fix}"]
    return "\n".join([*lines, f"The hub cannot be asked: {reason}", *_commands(prepared)])


def _commands(prepared: Prepared) -> Iterator[str]:
    models = f" --models {shlex.quote(str(prepared.spec))}" if prepared.spec else ""
    yield "On a machine with a network:"
    yield f"  python -m layer fetch --output {CACHE}{models}"
    yield f"Then copy {CACHE} here, and:"
    yield f"  python -m layer build --from {CACHE}{models}"
