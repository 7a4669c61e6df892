"""A cache that is shipped can be entered and read by every user: Lambda's is none of those who built it."""

from pathlib import Path

import pytest

from layer.sources import hf_cache
from layer.sources.fetch import Fetched

COMMIT = "c0ffee" + "0" * 34


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    folder = tmp_path / "downloaded"
    folder.mkdir()
    (folder / "open_clip_model.safetensors").write_bytes(b"weights")
    fetched = Fetched("acme/clip", COMMIT, ("weights",), None, ("open_clip_model.safetensors",), folder)
    hf_cache.place(fetched, tmp_path / "hub")
    hf_cache.open_to_all(tmp_path / "hub")
    return tmp_path / "hub"


def test_as_it_is_written_nothing_is_wrong_with_it(hub: Path) -> None:
    assert hf_cache.layout_problems(hub) == []


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (f"snapshots/{COMMIT}/open_clip_model.safetensors", 0o600),
        ("refs/main", 0o640),
        (f"snapshots/{COMMIT}", 0o700),
        ("snapshots", 0o744),  # others see the names in it, and open none of them
        (".", 0o711),
    ],
)
def test_what_only_some_users_may_read_or_enter_is_named(hub: Path, name: str, mode: int) -> None:
    path = hub / "models--acme--clip" / name
    path.chmod(mode)

    assert hf_cache.layout_problems(hub) == [
        f"{path} is not readable by every user: Lambda's is not the one who built it"
    ]
