"""A build and its disks: full ones are named as that, and two builds do not share a cache."""

import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from layer.bundle import sandbox
from tests.hub import repositories
from tests.hub.builder import ROOT, TINY, Builder, kill
from tests.hub.server import serving
from tests.patience import SECONDS


def test_the_second_build_in_one_cache_names_the_process_that_holds_it(tmp_path: Path) -> None:
    with serving() as hub:
        hub.add("acme/tiny", repositories.tiny_model(tmp_path / "tiny", "acme/tokenizer"))
        hub.add("acme/tokenizer", repositories.tokenizer_without_config(tmp_path / "tokenizer"))
        hub.stalled.add("open_clip_model.safetensors")
        builder = Builder(tmp_path / "work", hub)
        first = builder.start()
        deadline = time.monotonic() + SECONDS
        while not hub.ranges("open_clip_model.safetensors"):  # long since its lock is taken
            assert time.monotonic() < deadline, "the first build never came to its download"
            time.sleep(0.05)
        second = builder.run()
        elsewhere = builder.run(TINY, "--output", str(tmp_path / "other"))
        kill(first)

    for run, what in ((second, "bundle"), (elsewhere, "cache")):
        assert run.returncode == 1
        assert f"{what} is in use by process {first.pid} on " in run.stderr
        assert "Traceback" not in run.stderr
    assert [path.name for path in builder.root.iterdir() if path.name.startswith(".bundle-")] == []


@pytest.mark.skipif(not sandbox.namespaces(), reason="a disk of a few MB takes a mount namespace")
@pytest.mark.parametrize("size", ["1m", "6m"], ids=["full at once", "full during the export"])
def test_a_full_disk_is_never_blamed_on_the_model(tmp_path: Path, size: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    build = [sys.executable, "-m", "layer", "build", "--output", str(disk / "bundle"), "--cache", str(disk / "cache")]
    inside = f"mount -t tmpfs -o size={size} tmpfs {shlex.quote(str(disk))} && {shlex.join(build)}"

    run = subprocess.run(
        [*sandbox.namespaces(), "sh", "-c", inside], cwd=ROOT, capture_output=True, text=True, check=False
    )

    error = run.stderr[run.stderr.rindex("error: ") :]
    assert run.returncode == 1
    assert "No space left on device" in error
    assert str(disk) in error
    assert "torch" not in error
    assert "Traceback" not in run.stderr
