"""What a command says of a disk: how much is free there, unless the reason is that rights are missing."""

import errno
import os
from pathlib import Path

import pytest

from layer.errors import StorageError
from layer.files.disk_errors import explained


@pytest.mark.parametrize(("code", "told"), [(errno.ENOSPC, True), (errno.EACCES, False), (errno.EPERM, False)])
def test_the_free_space_is_told_where_it_may_be_the_reason(tmp_path: Path, code: int, told: bool) -> None:
    with pytest.raises(StorageError) as caught, explained("building", tmp_path):
        raise OSError(code, os.strerror(code), str(tmp_path / "build"))

    assert os.strerror(code) in str(caught.value)
    assert ("MB are free" in str(caught.value)) is told
