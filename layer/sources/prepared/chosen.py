"""The prepared sources of one command: from its options, from models.toml, and from the environment."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from layer.network import environment
from layer.sources.prepared import places
from layer.sources.prepared.search import Prepared
from layer.spec import Spec


@dataclass(frozen=True)
class Options:
    """The sources that a command line names: the values of --from, and the path given by --models, if any."""

    given: tuple[str, ...] = ()
    spec: Path | None = None


def prepared(
    spec: Spec, options: Options, update: bool, texts_of: Callable[[str], Sequence[str]], cache: Path
) -> Prepared:
    """Return the sources in the order in which they are searched. Raises SourceError for a missing directory.

    With `update`, which wants the hub's current commits, the environment's caches are searched only offline. `texts_of`
    returns the repositories of the text side for one of weights; `cache` is the build's own.
    """
    listed = [places.given(text, "--from") for text in options.given]
    if spec.cache:
        listed.append(places.given(spec.cache, "cache in models.toml"))
    own = {one.id: places.given(one.cache, f"cache of {one.id} in models.toml") for one in spec.models if one.cache}
    listed += _of_environment(update, bool(listed or own))
    return Prepared(
        _once(listed),
        own,
        alone=len(spec.models) == 1,
        spec=options.spec,
        texts_of=texts_of,
        scratch=cache / "joined",
    )


def named(spec: Spec, options: Options) -> Iterator[tuple[str, Path]]:
    """Yield the directories of options and of models.toml, existing or not, each with the words that name it."""
    given = [(f"--from {text}", text) for text in options.given]
    if spec.cache:
        given.append((f"cache = {spec.cache} in models.toml", spec.cache))
    given += [(f"cache = {one.cache} of {one.id} in models.toml", one.cache) for one in spec.models if one.cache]
    for what, text in given:
        yield what, places.folder_of(text)


def named_by_environment(update: bool, others: bool) -> Iterator[tuple[str, Path]]:
    """Yield the environment's caches in the same way; `others` says whether there are other sources, too."""
    for place in _of_environment(update, others):
        yield f"{place.variable} ({place.path}), which is searched", place.path


def _of_environment(update: bool, others: bool) -> list[places.Place]:
    """Return the environment's caches. open_clip downloads some files into the user's own one, even with cache_dir."""
    offline = environment.offline() is not None
    return places.of_environment(default=offline or others) if offline or not update else []


def _once(listed: Sequence[places.Place]) -> list[places.Place]:
    return list(dict.fromkeys(listed))
