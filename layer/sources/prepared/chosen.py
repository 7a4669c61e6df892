"""The sources of one command: of its options, of models.toml, of the environment."""

from collections.abc import Callable, Sequence
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
    offline = environment.offline() is not None
    if offline or not update:
        # open_clip's own calls put what they do not pass cache_dir to into the user's cache.
        listed += places.of_environment(default=offline or bool(listed or own))
    return Prepared(
        _once(listed),
        own,
        alone=len(spec.models) == 1,
        spec=options.spec,
        texts_of=texts_of,
        scratch=cache / "joined",
    )


def _once(listed: Sequence[places.Place]) -> list[places.Place]:
    return list(dict.fromkeys(listed))
