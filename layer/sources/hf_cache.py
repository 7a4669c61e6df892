"""A cache that loads anywhere: real files, refs, readable by any user, and nothing that is not needed."""

import shutil
from collections.abc import Callable
from pathlib import Path

from layer.errors import CacheLayoutError
from layer.sources.fetch import Fetched, repo_folder

DIRECTORY_MODE = 0o755
FILE_MODE = 0o644


def place(fetched: Fetched, hub: Path, write: Callable[[Path, Path], object] = shutil.copyfile) -> None:
    """Write the repository into `hub` (made if need be) in Hugging Face cache layout, each file by `write`.

    Raises CacheLayoutError for a link that leads nowhere.
    """
    repo = hub / repo_folder(fetched.repo)
    for name in fetched.files:
        source = fetched.folder / name
        if not source.exists():
            raise CacheLayoutError(
                f"{source} leads nowhere: the file that it linked to was moved or never copied; "
                "remove the repository's folder from the download cache and build again"
            )
        target = repo / "snapshots" / fetched.revision / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write(source.resolve(), target)  # no link: a bundle is copied about, links out of it would dangle
    refs = repo / "refs" / "main"
    refs.parent.mkdir(parents=True, exist_ok=True)
    refs.write_text(fetched.revision)  # no newline: offline, huggingface_hub takes the file's whole content
    if "tokenizer" in fetched.roles and "config.json" not in fetched.files:
        # transformers 5 asks for config.json and offline fails without this note that there is none.
        absent = repo / ".no_exist" / fetched.revision / "config.json"
        absent.parent.mkdir(parents=True, exist_ok=True)
        absent.touch()


def open_to_all(root: Path) -> None:
    """Make everything readable by any user: Lambda runs the function as one that owns nothing."""
    root.chmod(DIRECTORY_MODE)
    for path in root.rglob("*"):
        path.chmod(DIRECTORY_MODE if path.is_dir() else FILE_MODE)


def layout_problems(hub: Path) -> list[str]:
    """Name everything in a cache that would make an offline load fail, or a copy of it incomplete."""
    problems = []
    for repo in sorted(hub.glob("models--*")):
        problems += _repository_problems(repo)
    for path in sorted(hub.rglob("*")):
        if path.is_symlink():
            problems.append(f"{path} is a link ({path.readlink()}): a copy of it elsewhere leads nowhere")
        elif (0o555 if path.is_dir() else 0o444) & ~path.stat().st_mode:
            problems.append(f"{path} is not readable by every user: Lambda's is not the one who built it")
    return problems


def _repository_problems(repo: Path) -> list[str]:
    problems = [
        f"{repo / name} is left over: {why}"
        for name, why in (
            ("trees", "with files pruned, an offline snapshot_download refuses the whole snapshot"),
            ("blobs", "the files are in snapshots/ already, and would be shipped twice"),
        )
        if (repo / name).exists()
    ]
    refs = repo / "refs" / "main"
    if not refs.is_file():
        return [*problems, f"{refs} is missing: offline, huggingface_hub cannot tell which snapshot is meant"]
    revision = refs.read_text()
    if revision != revision.strip():
        problems.append(f"{refs} ends in white space: offline, huggingface_hub looks for a snapshot of that name")
    elif not (repo / "snapshots" / revision).is_dir():
        problems.append(f"{refs} names {revision}, which is not in snapshots/")
    return problems
