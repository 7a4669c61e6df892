"""A clone under core.autocrlf, as Git for Windows makes it, has the bytes of this repository."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def git(folder: Path, *command: str) -> None:
    subprocess.run(["git", "-C", str(folder), *command], check=True, capture_output=True)


def test_git_converts_no_line_ends_of_this_repository(tmp_path: Path) -> None:
    """Under core.autocrlf, which is Git for Windows' default, the demo's files had other hashes than models.lock."""
    source = tmp_path / "source"
    source.mkdir()
    for name in (".gitattributes", "Makefile", "layer/models.lock"):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    git(source, "init", "-q")
    git(source, "add", ".")
    git(source, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "all")

    git(tmp_path, "clone", "-q", "-c", "core.autocrlf=true", str(source), "clone")

    for name in ("Makefile", "layer/models.lock"):
        assert (tmp_path / "clone" / name).read_bytes() == (ROOT / name).read_bytes()
