"""The doctor on directories that its user may not enter: they are named, and nothing is said of what is in them."""

import os
import tempfile
from pathlib import Path

import pytest

from layer.doctor.examine import examine

MODEL, COMMIT = "models--acme--clip", "b" * 40


@pytest.mark.parametrize("mode", [0o444, 0o000])
@pytest.mark.parametrize("name", ["", "refs", "snapshots", f"snapshots/{COMMIT}"])
def test_what_is_in_a_closed_folder_of_a_cache_is_not_called_missing(name: str, mode: int) -> None:
    """Mode 444, as `chmod -R 444` leaves it, shows the names: no file behind them can be opened, nor asked for."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        hub, user = Path(folder), os.geteuid()
        hub.chmod(0o755)
        (hub / MODEL / "refs").mkdir(parents=True)
        (hub / MODEL / "refs" / "main").write_text(COMMIT)
        (hub / MODEL / "snapshots" / COMMIT).mkdir(parents=True)
        for file in ("open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json", "config.json"):
            (hub / MODEL / "snapshots" / COMMIT / file).write_text("{}")
        place = hub / MODEL / name
        place.chmod(mode)
        os.seteuid(user or 65534)  # root reads whatever the modes are
        try:
            found = examine(folder)
        finally:
            os.seteuid(user)
            place.chmod(0o755)

    assert {one.code for one in found} == {"not-readable", "unreadable"}
    assert place.relative_to(hub).as_posix() in {one.where for one in found if one.code == "unreadable"}
    assert not [one.detail for one in found if "is Permission denied" in one.detail]
