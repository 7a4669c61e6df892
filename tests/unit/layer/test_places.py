"""Directories of prepared caches that this user may not read: another user's, or root's in a container."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from layer.errors import SourceError
from layer.sources.prepared import places


@contextmanager
def theirs(mode: int) -> Iterator[Path]:
    """A cache in a directory of this mode, read as a user whom the modes concern: root reads whatever they are."""
    with tempfile.TemporaryDirectory() as name:
        root, user = Path(name), os.geteuid()
        (root / "theirs/huggingface/hub").mkdir(parents=True)
        root.chmod(0o755)
        (root / "theirs").chmod(mode)
        os.seteuid(user or 65534)
        try:
            yield root / "theirs"
        finally:
            os.seteuid(user)
            (root / "theirs").chmod(0o755)


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"])
def test_a_cache_that_a_variable_names_and_that_may_not_be_read_is_told_with_the_variable(variable: str) -> None:
    with theirs(0o000) as folder, pytest.raises(SourceError, match=rf"{variable}: .*/hub cannot be read") as told:
        places.of_environment(False, {variable: str(folder / "huggingface/hub")})
    assert "let this user read it (`chmod -R a+rX`), or name another directory" in str(told.value)


def test_a_home_that_may_not_be_read_has_no_cache_and_stops_no_build() -> None:
    with theirs(0o000) as folder:
        assert places.of_environment(True, {"XDG_CACHE_HOME": str(folder)}) == []


@pytest.mark.parametrize(("mode", "inside"), [(0o000, "huggingface"), (0o000, "."), (0o311, ".")])
def test_a_directory_of_an_option_that_may_not_be_read_is_told_with_the_option(mode: int, inside: str) -> None:
    """Mode 311 lets a user into the directory and shows no name in it."""
    with theirs(mode) as folder, pytest.raises(SourceError, match=r"--from: .* cannot be read \(Permission denied\)"):
        places.given(str(folder / inside), "--from")
