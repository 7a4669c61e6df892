"""The doctor on directories that its user may not enter: they are named, and nothing is said of what is in them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from layer.doctor.examine import examine
from layer.doctor.readers.tree import MAX_PROBLEMS

MODEL, COMMIT = "models--acme--clip", "b" * 40


@contextmanager
def closed(*places: Path, mode: int) -> Iterator[None]:
    """Give directories a mode, and become a user whom it keeps out: root reads whatever the modes are."""
    user = os.geteuid()
    for place in places:
        place.chmod(mode)
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)
        for place in places:
            place.chmod(0o755)


@pytest.mark.parametrize("mode", [0o444, 0o000])
@pytest.mark.parametrize("name", ["", "refs", "snapshots", f"snapshots/{COMMIT}"])
def test_what_is_in_a_closed_folder_of_a_cache_is_not_called_missing(name: str, mode: int) -> None:
    """Mode 444, as `chmod -R 444` leaves it, shows the names: no file behind them can be opened, nor asked for."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        hub = Path(folder)
        hub.chmod(0o755)
        (hub / MODEL / "refs").mkdir(parents=True)
        (hub / MODEL / "refs" / "main").write_text(COMMIT)
        (hub / MODEL / "snapshots" / COMMIT).mkdir(parents=True)
        for file in ("open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json", "config.json"):
            (hub / MODEL / "snapshots" / COMMIT / file).write_text("{}")
        place = hub / MODEL / name
        with closed(place, mode=mode):
            found = examine(folder)

    assert {one.code for one in found} == {"not-readable", "unreadable"}
    assert place.relative_to(hub).as_posix() in {one.where for one in found if one.code == "unreadable"}
    assert not [one.detail for one in found if "is Permission denied" in one.detail]


@pytest.mark.parametrize("mode", [0o444, 0o000])
def test_each_closed_folder_is_told_once_however_many_folders_are_in_it(mode: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        hub = Path(folder)
        hub.chmod(0o755)
        repositories = [hub / f"{MODEL}{number}" for number in range(3)]
        for repository in repositories:
            for name in ("blobs", "refs", "snapshots", "trees"):
                (repository / name / "deep").mkdir(parents=True)
        with closed(*repositories, mode=mode):
            found = examine(folder)

    told = sorted(one.where for one in found if one.code == "unreadable")
    assert told == [repository.name for repository in repositories]


def test_more_closed_repositories_than_are_told_have_no_snapshot_missing() -> None:
    with tempfile.TemporaryDirectory() as folder:
        hub = Path(folder)
        hub.chmod(0o755)
        repositories = [hub / f"{MODEL}{number}" for number in range(MAX_PROBLEMS + 2)]
        for repository in repositories:
            (repository / "snapshots" / COMMIT).mkdir(parents=True)
        with closed(*repositories, mode=0o000):
            found = examine(folder)

    assert {one.code for one in found} == {"not-readable", "unreadable"}
