"""`python -m layer fetch`: put all files of the models into one directory, for machines without a network.

It is a Hugging Face cache of real files, for `build --from` and for open_clip itself, with a list of all hashes.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from layer.errors import StorageError
from layer.files import disk_errors, replace
from layer.files.directory_lock import held
from layer.files.link import link_own
from layer.sources import hf_cache
from layer.sources import lock as locks
from layer.sources.download import NOTHING_PREPARED, gather
from layer.sources.fetch import Fetched, repo_folder
from layer.sources.preflight import ask_hub
from layer.sources.prepared.known_hashes import CONTENTS
from layer.sources.prepared.search import Prepared
from layer.spec import Spec

VERSION = 1
BESIDE = (CONTENTS, "CACHEDIR.TAG", ".locks")  # what `fetch` puts beside the repositories, and huggingface_hub does


def fetch(
    spec: Spec,
    output: Path,
    cache: Path,
    lock: Path | None = None,
    update: bool = False,
    by_xet: bool = False,
    prepared: Prepared | None = None,
    weights_of: Callable[[str, str | None], str | None] | None = None,
) -> dict[str, Any]:
    """Fetch all files of every model into `output`, which is replaced as a whole when everything has been fetched.

    `cache` keeps the downloads, so that an interrupted fetch continues, and a build need not download again. `lock` is
    models.lock: its commits are fetched, except with `update`. With `by_xet`, large files are downloaded from the hub's
    chunked storage if it has them. Files of `prepared` sources are copied instead. With `weights_of`, which is passed
    to `ask_hub`, an unreachable hub is reported at the start. Returns the contents of the list in `output`:
    repositories with their commits, files, sizes and hashes. Raises BuildError.
    """
    output = replace.place(output)
    with disk_errors.explained("the fetch", output.parent, cache):
        _check_replaceable(output)
        with held(output.with_name(f".{output.name}.lock"), str(output)), held(cache / ".lock", str(cache)):
            replace.recover(output)
            replace.sweep(output.parent, f".{output.name}-")
            pins = locks.read(lock) if lock else {}
            pinned, given = {} if update else pins, prepared or NOTHING_PREPARED
            locks.check_writable(lock, pinned, (model.id for model in spec.models))
            if weights_of:
                ask_hub(spec.models, pinned, cache, given, weights_of)
            fetched = gather(spec.models, cache, pinned, given, by_xet, "update" if update else "keep")
            if lock:
                found = {
                    model.id: tuple(source.locked() for source in sources)
                    for model, sources in zip(spec.models, fetched, strict=True)
                }
                locks.write(lock, {**pins, **found})
            from_hub = [one for sources in fetched for one in sources if "checkpoint" not in one.roles]
            contents = {"version": VERSION, "repositories": _contents(_joined(from_hub))}
            _put_in_place(_joined(from_hub), contents, output, cache)
    return contents


def _joined(sources: Sequence[Fetched]) -> dict[str, list[Fetched]]:
    """Group by repository: two models may use different files of one. Raises StorageError for two commits of one."""
    joined: dict[str, list[Fetched]] = {}
    for source in sources:
        taken = joined.setdefault(source.repo, [])
        if taken and taken[0].revision != source.revision:
            raise StorageError(
                f"{source.repo} is needed at {taken[0].revision} and at {source.revision}: a cache has one default "
                "commit; give both models the same `revision`, or fetch into two directories"
            )
        taken.append(source)
    return dict(sorted(joined.items()))


def _contents(joined: dict[str, list[Fetched]]) -> list[dict[str, Any]]:
    return [
        {
            "repo": repo,
            "revision": sources[0].revision,
            "license": sources[0].license,
            "files": {
                name: {"size": fact.size, "sha256": fact.sha256}
                for source in sources
                for name, fact in sorted(source.facts.items())
            },
            **({"as_found": found} if (found := sorted({n for source in sources for n in source.as_found})) else {}),
        }
        for repo, sources in joined.items()
    ]


def _put_in_place(joined: dict[str, list[Fetched]], contents: dict[str, Any], output: Path, cache: Path) -> None:
    text = json.dumps(contents, indent=1, ensure_ascii=False) + "\n"
    if _is_there(output, contents, text):
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as scratch:
        staged = Path(scratch) / output.name
        staged.mkdir()
        for source in (source for sources in joined.values() for source in sources):
            hf_cache.place(source, staged, link_own(cache, shutil.copyfile))
            if source.asked and source.asked != source.revision:
                reference = staged / repo_folder(source.repo) / "refs" / source.asked
                reference.parent.mkdir(parents=True, exist_ok=True)
                reference.write_text(source.revision)
        (staged / CONTENTS).write_text(text, encoding="utf-8")
        hf_cache.open_to_all(staged)
        replace.swap(staged, output)


def _is_there(output: Path, contents: dict[str, Any], text: str) -> bool:
    """Tell whether `output` already is this cache, by its list and the sizes of its files."""
    try:
        if (output / CONTENTS).read_text(encoding="utf-8") != text:
            return False
        for one in contents["repositories"]:
            snapshot = output / repo_folder(one["repo"]) / "snapshots" / one["revision"]
            if any((snapshot / name).stat().st_size != fact["size"] for name, fact in one["files"].items()):
                return False
    except (OSError, ValueError):
        return False
    return not hf_cache.layout_problems(output)


def _check_replaceable(output: Path) -> None:
    """Refuse to replace a directory with files that `fetch` did not put there: they may exist nowhere else."""
    listed = {repo_folder(repo) for repo in _listed(output)}
    replace.check_replaceable(output, frozenset({*listed, *BESIDE}), CONTENTS, "a cache of `fetch` alone")


def _listed(output: Path) -> list[str]:
    try:
        contents = json.loads((output / CONTENTS).read_text(encoding="utf-8"))
        return [str(one["repo"]) for one in contents["repositories"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
