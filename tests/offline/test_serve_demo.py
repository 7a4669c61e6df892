"""`make serve` as a person uses it: a bundle by its relative path, up within seconds, and asked over HTTP."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.patience import SECONDS

ROOT = Path(__file__).parents[2]


def processor_seconds(process: int) -> float:
    """What a process has computed so far: on a busy machine it waits longer, and computes no more."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_demo_bundle_is_served_within_5_seconds_from_a_relative_path(demo_bundle: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "devserver", "--port", "0"],
        cwd=demo_bundle.parent,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "OPENCLIP_BUNDLE_DIR": demo_bundle.name,
            "OPENCLIP_CACHE_DIR": str(tmp_path),
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        announced = re.search(r"http://\S+", process.stdout.readline())
        assert announced, "the server did not say where it is"
        spent = processor_seconds(process.pid)
        request = urllib.request.Request(
            f"{announced.group()}/v1/embeddings", b'{"input": "a red circle"}', {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            body = json.load(answer)
    finally:
        process.terminate()
        process.wait(SECONDS)
    assert spent < 5
    assert len(body["data"][0]["embedding"]) == 64
