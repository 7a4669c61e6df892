"""What would stop a command seconds later, asked first: whether the hub can be reached.

Torch and open_clip, which take seconds to import, are not needed for it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from layer.network import environment
from layer.sources.lock import Lock
from layer.sources.prepared.search import Prepared
from layer.spec import ModelSpec


def ask_hub(
    models: Sequence[ModelSpec],
    pins: Lock,
    cache: Path,
    prepared: Prepared,
    weights_of: Callable[[str, str | None], str | None],
) -> None:
    """Send the hub the first question of a build, if there will be one; not with prepared sources, and not offline.

    `weights_of` returns the repository of a registry pair's weights, None if it has none. Raises FetchError.
    """
    for model in [] if prepared or environment.offline() else models:
        repo = _repository(model, weights_of)
        if repo and not _is_here(model, repo, pins, cache):
            return


def _repository(model: ModelSpec, weights_of: Callable[[str, str | None], str | None]) -> str | None:
    """Return the repository of a model's weights; None if it has none, or if only open_clip could say it."""
    if model.checkpoint:
        return None
    if model.name.startswith("hf-hub:"):
        return model.name.removeprefix("hf-hub:")
    return weights_of(model.name, model.pretrained)


def _is_here(model: ModelSpec, repo: str, pins: Lock, cache: Path) -> bool:
    """Tell whether a repository is in the cache at its pin; else ask the hub, and keep its response for the build."""
    from layer.sources import fetch, hub

    if (fetch.EMBEDDED / fetch.repo_folder(repo)).is_dir():
        return True
    pin = next((pin for pin in pins.get(model.id, ()) if (pin.repo, pin.asked) == (repo, model.revision)), None)
    if pin:
        folder = cache / "hub" / fetch.repo_folder(repo) / pin.revision
        if all((folder / name).exists() for name in pin.files):
            return True
    hub.repository(repo, pin.revision if pin else model.revision)
    return False
