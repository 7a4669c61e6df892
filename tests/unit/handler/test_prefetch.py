"""Files are read before they are needed, in the background."""

import sys
from pathlib import Path

import pytest

from handler.engines.prefetch import libraries, read_ahead


def bytes_read() -> int:
    """What this process has had from files: Linux counts it, in whatever way it is read."""
    [line] = [line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("rchar:")]
    return int(line.split()[1])


@pytest.mark.skipif(sys.platform == "darwin", reason="nothing is read ahead there")
def test_every_byte_of_every_file_is_read(tmp_path: Path) -> None:
    paths = [tmp_path / "small", tmp_path / "large"]
    paths[0].write_bytes(b"x")
    paths[1].write_bytes(bytes(3_000_000))

    before = bytes_read()
    read_ahead(paths).join()

    assert bytes_read() - before >= 3_000_001


def test_a_file_that_cannot_be_read_ahead_is_reported_and_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    read_ahead([tmp_path / "missing"]).join()
    assert "missing" in caplog.text


def test_files_of_a_package_are_found_without_importing_it() -> None:
    [found] = libraries("xmlrpc", "server.py")
    assert found.name == "server.py"
    assert "xmlrpc" not in sys.modules


def test_a_package_that_is_not_there_has_no_files() -> None:
    assert libraries("no_such_package", "*") == []
