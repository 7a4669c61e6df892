"""Check a bundle: every hash, every file that open_clip will ask for, and the shipped handler without a network."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub

from layer.bundle import manifest, sandbox
from layer.bundle.records import BundleFile, Manifest, ModelEntry
from layer.engines import ENGINES
from layer.errors import VerifyError
from layer.progress import hash_files
from layer.sources.fetch import repo_folder
from layer.sources.hf_cache import layout_problems

MAX_SHOWN = 10


def verify(bundle: Path, own: Path | None = None) -> dict[str, Any]:
    """Check everything and return the handler's own report. Raises VerifyError naming what is wrong, and the fix.

    With `own`, a directory of the user's own code (`handler_ext`), the handler runs with it, and the report says how
    far its preprocessing moves the embeddings.
    """
    facts = check_files(bundle)
    needs_torch = any(ENGINES[model.engine].ships_checkpoint for model in facts.models)
    return run_handler(bundle, needs_torch, own)


def check_files(bundle: Path) -> Manifest:
    """Check that every file is there as it was built, and return the manifest. Raises VerifyError."""
    facts = manifest.read(bundle)
    problems = list(_misplaced(bundle, facts.files))
    if not manifest.is_as_written(bundle):
        problems.append(f"{manifest.NAME} was changed: its values have not the sha256 with which they were written")
    for model in facts.models:
        if not ENGINES[model.engine].ships_checkpoint:
            continue  # it has no Hugging Face cache, only files of the manifest
        hub = bundle / "models" / model.slug / "hub"
        problems += [*layout_problems(hub), *_not_found(hub, model, facts.files)]
    _refuse(bundle, problems)  # before reading a gigabyte to hash it
    _refuse(bundle, list(_changed(bundle, facts.files)))
    return facts


def run_handler(bundle: Path, needs_torch: bool = True, own: Path | None = None) -> dict[str, Any]:
    """Run the shipped handler without a network and compare it with open_clip's golden vectors."""
    bare = [] if needs_torch else ["layer.bundle.runtime_only"]
    environ = {"OPENCLIP_EXTENSIONS": str(own.absolute())} if own else {}
    run = sandbox.run(bundle, ["-m", *bare, "handler.selfcheck", "--bundle", str(bundle.resolve())], environ)
    try:
        report: dict[str, Any] = json.loads(run.stdout)
    except ValueError as error:
        sandbox.reason(run)  # raises StorageError if a disk is full
        raise VerifyError(f"the handler died on {bundle} without a report:\n{run.stderr.strip()}") from error
    if run.returncode != 0 or not report.get("ok"):
        reasons = [_reason(model) for model in report.get("models", []) if not model.get("ok", False)]
        reasons += [*report.get("changed_files", []), *report.get("missing_decoders", [])]
        if own and not reasons:
            raise VerifyError(f"the function does not start: {report.get('reason') or run.stderr.strip()}")
        _refuse(bundle, reasons or [report.get("reason") or run.stderr.strip()])
    return report


def _refuse(bundle: Path, problems: list[str]) -> None:
    if not problems:
        return
    shown = problems[:MAX_SHOWN] + ([f"and {len(problems) - MAX_SHOWN} more"] if len(problems) > MAX_SHOWN else [])
    listing = "\n  ".join(shown)
    raise VerifyError(
        f"{bundle} is not a bundle that works:\n  {listing}\nBuild it again with `python -m layer build`."
    )


def _misplaced(bundle: Path, files: list[BundleFile]) -> Iterator[str]:
    listed = {file.path for file in files}
    there = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_symlink() or path.is_file()}
    yield from (f"{name} is missing" for name in sorted(listed - there))
    yield from (f"{name} is not in the manifest" for name in sorted(there - listed - {manifest.NAME}))


def _changed(bundle: Path, files: list[BundleFile]) -> Iterator[str]:
    built = {Path(file.path): file.sha256 for file in files}
    for path, digest in hash_files(bundle, built, "checking hashes"):
        if digest != built[path]:
            yield f"{path} was changed: its sha256 is {digest}, built was {built[path]}"


def _not_found(hub: Path, model: ModelEntry, files: list[BundleFile]) -> Iterator[str]:
    """Ask huggingface_hub for each file the way open_clip will, by repository and without a revision."""
    for source in model.sources:
        repo = source.repo
        prefix = f"models/{model.slug}/hub/{repo_folder(repo)}/snapshots/{source.revision}/"
        names = [file.path.removeprefix(prefix) for file in files if file.path.startswith(prefix)]
        if not names:
            yield f"{repo} is missing from {hub}: {model.id} takes its {' and '.join(source.roles)} from it"
        for name in names:
            if not isinstance(huggingface_hub.try_to_load_from_cache(repo, name, cache_dir=hub), str):
                yield f"{name} of {repo} is in {hub}, but huggingface_hub does not find it there"


def _reason(model: dict[str, Any]) -> str:
    if model.get("error"):
        return f"{model['id']}: {model['error']}"
    ids = "equal" if model["token_ids_equal"] else "DIFFERENT"
    return (
        f"{model['id']}: token ids {ids}, lowest cosine to open_clip {model['min_text_cosine']:.6f} (texts) and "
        f"{model['min_image_cosine']:.6f} (images), required {model['required_cosine']}"
    )
