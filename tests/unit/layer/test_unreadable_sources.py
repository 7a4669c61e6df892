"""Directories of prepared caches that this user may not read: another user's, or root's in a container."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from layer.errors import SourceError
from layer.sources import resolve
from layer.sources.prepared import places
from layer.sources.prepared.search import Prepared
from layer.spec import ModelSpec


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


@pytest.mark.parametrize(
    ("variable", "inside"),
    [("HF_HUB_CACHE", "huggingface/hub"), ("HUGGINGFACE_HUB_CACHE", "."), ("XDG_CACHE_HOME", ".")],
)
def test_a_cache_of_the_environment_that_may_not_be_read_is_named_where_a_model_is_missing(
    variable: str, inside: str
) -> None:
    """And it stops no build that takes its model from elsewhere: nobody may have meant it."""
    with theirs(0o000) as folder:
        found = Prepared(places.of_environment(variable == "XDG_CACHE_HOME", {variable: str(folder / inside)}))
        model = ModelSpec("hf-hub:acme/clip")
        need = resolve.Need("acme/clip", ("weights", "config"))

        assert found.find(need, None, None, model) is None
        findings = found.findings(need, None, None, model)

    [closed] = [one for one in findings if one.code == "unreadable"]
    assert closed.where.startswith(str(folder))
    assert closed.detail == "Permission denied"


@pytest.mark.parametrize(("mode", "inside"), [(0o000, "huggingface"), (0o000, "."), (0o311, ".")])
def test_a_directory_of_an_option_that_may_not_be_read_is_told_with_the_option(mode: int, inside: str) -> None:
    """Mode 311 lets a user into the directory and shows no name in it."""
    with theirs(mode) as folder, pytest.raises(SourceError, match=r"--from: .* cannot be read \(Permission denied\)"):
        places.given(str(folder / inside), "--from")
