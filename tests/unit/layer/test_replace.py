"""A bundle in another one's place: the old or the new one is there at every moment, and nobody's own is replaced."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from layer.errors import StorageError
from layer.files import replace

ROOT = Path(__file__).parents[3]
CONTENTS = frozenset({"manifest.json", "models"})
SWAP = """
import sys
from pathlib import Path
from layer.files import replace
old, new = Path(sys.argv[1]) / "bundle", Path(sys.argv[1]) / "staged"
print("started", flush=True)
while True:
    replace.swap(new, old)
    if not new.exists():
        new.mkdir()
        (new / "manifest.json").write_text("whole")
"""


def bundle(path: Path, text: str = "whole") -> Path:
    path.mkdir(parents=True)
    (path / "manifest.json").write_text(text)
    return path


def test_a_swap_puts_the_new_one_in_place(tmp_path: Path) -> None:
    replace.swap(bundle(tmp_path / "a", "new"), tmp_path / "bundle")
    assert (tmp_path / "bundle" / "manifest.json").read_text() == "new"

    replace.swap(bundle(tmp_path / "b", "newer"), tmp_path / "bundle")
    assert (tmp_path / "bundle" / "manifest.json").read_text() == "newer"


def test_a_system_that_cannot_exchange_renames_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replace, "_exchange", lambda *_: False)
    bundle(tmp_path / "bundle", "old")

    replace.swap(bundle(tmp_path / "staged", "new"), tmp_path / "bundle")

    assert (tmp_path / "bundle" / "manifest.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_kill_between_two_renames_is_repaired(tmp_path: Path) -> None:
    bundle(tmp_path / ".bundle.old", "old")
    replace.recover(tmp_path / "bundle")
    assert (tmp_path / "bundle" / "manifest.json").read_text() == "old"

    bundle(tmp_path / ".bundle.old", "older")
    replace.recover(tmp_path / "bundle")
    assert (tmp_path / "bundle" / "manifest.json").read_text() == "old"
    assert not (tmp_path / ".bundle.old").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="renameat2 is Linux's")
def test_killed_at_any_moment_there_is_a_complete_bundle(tmp_path: Path) -> None:
    bundle(tmp_path / "bundle")
    for number in range(20):
        shutil.rmtree(tmp_path / "staged", ignore_errors=True)  # the process before was perhaps writing it
        bundle(tmp_path / "staged")
        process = subprocess.Popen(
            [sys.executable, "-c", SWAP, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(number / 4000)
        process.send_signal(signal.SIGKILL)
        process.communicate()

        assert process.returncode == -signal.SIGKILL
        replace.recover(tmp_path / "bundle")  # of the two renames where a file system cannot exchange directories
        assert (tmp_path / "bundle" / "manifest.json").read_text() == "whole"


def test_what_a_killed_build_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".bundle-abcd1234").mkdir()
    (tmp_path / ".bundle-abcd1234" / "x").touch()
    for name in (".bundle-notes", ".bundle-mine-and-long", ".bundler-abcd1234"):
        (tmp_path / name).mkdir()
    (tmp_path / ".bundle-12345678").touch()

    replace.sweep(tmp_path, ".bundle-")

    assert {path.name for path in tmp_path.iterdir()} == {
        *(".bundle-notes", ".bundle-mine-and-long", ".bundler-abcd1234", ".bundle-12345678")
    }


def test_a_directory_of_somebodys_own_is_not_replaced(tmp_path: Path) -> None:
    replace.check_replaceable(tmp_path / "nowhere", CONTENTS, "manifest.json")
    (tmp_path / "empty").mkdir()
    replace.check_replaceable(tmp_path / "empty", CONTENTS, "manifest.json")
    replace.check_replaceable(bundle(tmp_path / "bundle"), CONTENTS, "manifest.json")
    for seen_in_finder in (tmp_path / "empty", tmp_path / "bundle"):
        (seen_in_finder / ".DS_Store").write_bytes(b"\0")
        replace.check_replaceable(seen_in_finder, CONTENTS, "manifest.json")
    (tmp_path / "bundle" / "thesis.tex").touch()
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "models").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    for name, says in (
        ("bundle", r"it has thesis\.tex"),
        ("papers", r"it has no manifest\.json"),
        ("file", "is a file"),
    ):
        with pytest.raises(StorageError, match=says):
            replace.check_replaceable(tmp_path / name, CONTENTS, "manifest.json")
    with pytest.raises(StorageError, match="link is a file"):
        replace.check_replaceable(tmp_path / "link", CONTENTS, "manifest.json")


def test_what_cannot_be_moved_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume of a container, or the directory that somebody is in: nothing can take its place."""
    (tmp_path / "here" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "deeper")
    for target in (Path(), Path(".."), tmp_path / "here", tmp_path / "here" / "deeper"):
        with pytest.raises(
            StorageError, match=r"would be replaced: .*name one inside of it, as in --output /.*/bundle"
        ):
            replace.check_replaceable(replace.place(target), CONTENTS, "manifest.json")
    replace.check_replaceable(tmp_path / "here" / "deeper" / "bundle", CONTENTS, "manifest.json")
    with pytest.raises(StorageError, match="/dev is where a disk or a volume is mounted"):
        replace.check_replaceable(Path("/dev"), CONTENTS, "manifest.json")


def test_what_a_link_leads_to_is_replaced_and_not_the_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk/bundle")
    for text in ("new", "newer"):  # it is not there at first
        replace.swap(bundle(tmp_path / "disk" / text, text), replace.place(Path("link")))
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "disk" / "bundle" / "manifest.json").read_text() == text

    assert replace.place(Path("disk/bundle")) == Path("disk/bundle")
    assert replace.place(Path()) == tmp_path
    assert replace.place(Path("disk/..")) == tmp_path
