"""The sources of one command: of its options, of models.toml, of the environment."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from layer.network import environment
from layer.sources.prepared import places
from layer.sources.prepared.search import Prepared
from layer.spec import Spec


@dataclass(frozen=True)
class Options:
    """What a command line says of sources: the values of --from, and the models.toml that was named, if one was."""

    given: tuple[str, ...] = ()
    spec: Path | None = None


def prepared(
    spec: Spec, options: Options, update: bool, texts_of: Callable[[str], Sequence[str]], cache: Path
) -> Prepared:
    """Return the sources in the order in which they are searched. Raises SourceError for one that is not there.

    With `update`, which takes what the hub has now, the environment's caches count only where the hub is not asked.
    `texts_of` tells which repositories go with one of weights; `cache` is the build's own.
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
    """Yield the directories of options and of models.toml, whether they are there or not, each with what names it."""
    given = [(f"--from {text}", text) for text in options.given]
    if spec.cache:
        given.append((f"cache = {spec.cache} in models.toml", spec.cache))
    given += [(f"cache = {one.cache} of {one.id} in models.toml", one.cache) for one in spec.models if one.cache]
    for what, text in given:
        yield what, places.folder_of(text)


def named_by_environment(update: bool, others: bool) -> Iterator[tuple[str, Path]]:
    """Yield the environment's caches likewise; `others` tells whether there are sources besides."""
    for place in _of_environment(update, others):
        yield f"{place.variable} ({place.path}), which is searched", place.path


def _of_environment(update: bool, others: bool) -> list[places.Place]:
    """Return the environment's caches; open_clip puts what it does not pass cache_dir to into the user's own one."""
    offline = environment.offline() is not None
    return places.of_environment(default=offline or others) if offline or not update else []


def _once(listed: Sequence[places.Place]) -> list[places.Place]:
    return list(dict.fromkeys(listed))
