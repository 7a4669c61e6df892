"""Prepared caches as people make them: by open_clip's calls, the hub's client, git, ModelScope."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.hub.server import LARGE, Hub

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
OPEN_CLIP = """
import sys
from layer.openclip import open_clip
name, pretrained, cache = sys.argv[1], sys.argv[2] or None, sys.argv[3]
open_clip.create_model_and_transforms(name, pretrained=pretrained, cache_dir=cache)
open_clip.get_tokenizer(name, cache_dir=cache)
"""
SNAPSHOTS = """
import sys
from huggingface_hub import snapshot_download
for repo in sys.argv[2:]:
    snapshot_download(repo, cache_dir=sys.argv[1])
"""


def online(hub: Hub, home: Path) -> dict[str, str]:
    """Return the environment of a process whose hub is the local one."""
    return {
        "PATH": os.environ["PATH"],
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(ROOT),
    }


def by_open_clip(hub: Hub, cache: Path, name: str, pretrained: str = "") -> Path:
    """What `create_model_and_transforms` and `get_tokenizer` leave in `cache_dir`; the rest lies in `<cache>-home`."""
    home = cache.with_name(f"{cache.name}-home")
    command = [sys.executable, "-c", OPEN_CLIP, name, pretrained, str(cache)]
    subprocess.run(command, env=online(hub, home), check=True, capture_output=True)
    return cache


def by_snapshot_download(hub: Hub, cache: Path) -> Path:
    """Every repository of the hub, by `snapshot_download`."""
    command = [sys.executable, "-c", SNAPSHOTS, str(cache), *hub.repositories]
    subprocess.run(command, env=online(hub, cache.with_name("home")), check=True, capture_output=True)
    return cache


def by_hf_download(hub: Hub, folder: Path, local: bool = False) -> Path:
    """Every repository of the hub, by `hf download`: into a cache, or each into a folder of its own."""
    for repo in hub.repositories:
        place = ["--local-dir", str(folder / repo)] if local else ["--cache-dir", str(folder)]
        command = [str(BIN / "hf"), "download", repo, *place]
        subprocess.run(command, env=online(hub, folder.with_name("home")), check=True, capture_output=True)
    return folder


def with_real_files(cache: Path, folder: Path) -> Path:
    """A copy in which links became files, as on Windows or after `cp -rL` of the snapshots."""
    for snapshots in cache.glob("models--*/snapshots"):
        shutil.copytree(snapshots, folder / snapshots.parent.name / "snapshots")
        shutil.copytree(snapshots.parent / "refs", folder / snapshots.parent.name / "refs")
    return folder


def with_shared_blobs(cache: Path, folder: Path) -> Path:
    """A copy whose large blobs lie outside the repositories, as newer clients share them among repositories."""
    shutil.copytree(cache, folder, symlinks=True)
    for blob in folder.glob("models--*/blobs/*"):
        if blob.stat().st_size >= LARGE:
            xet = hashlib.sha256(blob.name.encode()).hexdigest()
            shared = folder / "blobs" / xet[:2] / xet
            shared.parent.mkdir(parents=True)
            blob.rename(shared)
            blob.symlink_to(os.path.relpath(shared, blob.parent))
    return folder


def by_modelscope(hub: Hub, folder: Path) -> Path:
    """What ModelScope's client leaves: hub/models/<org>/<name>, in which a dot of a name is three underscores."""
    for repo, one in hub.repositories.items():
        place = folder / "hub" / "models" / repo.replace(".", "___")
        shutil.copytree(one.folder, place)
        (place / ".mv").write_text("Revision:master,CreatedAt:1700000000")
    return folder


def by_git(hub: Hub, folder: Path, pulled: bool = True) -> Path:
    """Clones: a large file is in LFS, so that git's index has its pointer; without `pulled` the folder has it too."""
    for repo, one in hub.repositories.items():
        place = folder / repo.rpartition("/")[2]
        place.mkdir(parents=True)
        _git(place, "init", "-q")
        _git(place, "remote", "add", "origin", f"https://huggingface.co/{repo}")
        for path in one.paths():
            pointer = pointer_to(path) if path.stat().st_size >= LARGE else None
            (place / path.name).write_bytes(pointer or path.read_bytes())
        _git(place, "add", ".")
        _git(place, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "all")
        for path in one.paths() if pulled else ():
            shutil.copyfile(path, place / path.name)
    return folder


def pointer_to(path: Path) -> bytes:
    """What git has in the place of a file that is in LFS."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {path.stat().st_size}\n".encode()


def _git(folder: Path, *command: str) -> None:
    subprocess.run(["git", "-C", str(folder), *command], check=True, capture_output=True)


def every(hub: Hub, root: Path, first: Path) -> dict[str, Path]:
    """All that a hub has in every form; `first` is the cache that open_clip's own calls made of it."""
    return {
        "open_clip": first,
        "snapshot_download": by_snapshot_download(hub, root / "snapshots"),
        "hf download": by_hf_download(hub, root / "downloads"),
        "local-dir": by_hf_download(hub, root / "local", local=True),
        "modelscope": by_modelscope(hub, root / "modelscope"),
        "git": by_git(hub, root / "clones"),
        "several": several(hub, root / "several"),
        "real files": with_real_files(first, root / "real"),
        "shared blobs": with_shared_blobs(first, root / "shared"),
    }


def several(hub: Hub, folder: Path) -> Path:
    """A folder with a subdirectory of another form for each repository."""
    forms: list[Callable[[str, Path], object]] = [
        lambda repo, place: shutil.copytree(hub.repositories[repo].folder, place / repo.rpartition("/")[2]),
        lambda repo, place: _copied_cache(hub, repo, place / "cache"),
    ]
    for number, repo in enumerate(hub.repositories):
        forms[number % 2](repo, folder / f"model-{number}")
    return folder


def _copied_cache(hub: Hub, repo: str, cache: Path) -> None:
    one = hub.repositories[repo]
    place = cache / f"models--{repo.replace('/', '--')}"
    shutil.copytree(one.folder, place / "snapshots" / one.commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(one.commit)
