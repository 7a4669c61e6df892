"""`python -m handler.batch` over 10,000 images: processes are killed, runs are doubled, and the output is the same.

Each process reports the images that it opens, by Python's own audit event: what is opened twice was done twice.
"""

import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.conftest import build_demo
from tests.patience import BUILD_SECONDS

ROOT = Path(__file__).parents[2]
IMAGES, BROKEN_OF = 10_000, 100  # one in so many is broken
SHARDS = 10  # of 1,000, as by default
REDONE = 0.02  # of all images, at most, for one worker in ten that is killed
# Whichever process is the first to open the image that FATAL names, if any, is killed there, alone or with all others.
REPORTING = """
import os, signal, sys
_log = os.open(os.environ["OPENED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _report(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[0].endswith(".png"):
        os.write(_log, f"{os.getpid()} {arguments[0]}\\n".encode())
        if arguments[0].endswith(os.environ.get("FATAL", "nothing")):
            _die_once()
def _die_once():
    try:
        os.mkdir(os.environ["OPENED"] + ".killed")
    except FileExistsError:
        return
    os.kill(0 if "FOR_ALL" in os.environ else os.getpid(), signal.SIGKILL)  # 0: its group, which is the run
sys.addaudithook(_report)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("batch"), "onnx", "int8")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for number in range(IMAGES):
        (root / f"{number // 1000}").mkdir(exist_ok=True)
        broken = number % BROKEN_OF == 7
        (root / name(number)).write_bytes(b"no image" if broken else png(number))
    return root


def name(number: int) -> str:
    return f"{number // 1000}/{number:05d}.png"


def png(number: int) -> bytes:
    """One color, 8x8 pixels, as the PNG specification has it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + bytes((number % 256, number // 256, 99)) * 8
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    ends = chunk(b"IDAT", zlib.compress(row * 8, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + ends


class Runs:
    """Runs of one folder into one output, and which process opened which image."""

    def __init__(self, scratch: Path, bundle: Path, photos: Path) -> None:
        self.output, self._photos, self._log = scratch / "output", photos, scratch / "opened"
        (scratch / "site").mkdir(parents=True)
        (scratch / "site" / "sitecustomize.py").write_text(REPORTING)
        self._environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{scratch / 'site'}:{ROOT}",
            "OPENCLIP_BUNDLE_DIR": str(bundle),
            "OPENCLIP_CACHE_DIR": str(scratch / "cache"),
            "OPENED": str(self._log),
        }

    def start(self, *options: str, **environ: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "handler.batch", str(self._photos), "--output", str(self.output), *options]
        return subprocess.Popen(
            [*command, "--processes", "2"],
            env={**self._environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def opened(self) -> list[tuple[int, str]]:
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [(int(pid), path) for pid, _, path in (line.partition(" ") for line in lines)]

    def redone(self) -> float:
        """Tell which share of all images was opened again, each time counted."""
        return (len(self.opened()) - IMAGES) / IMAGES

    def files(self) -> dict[str, bytes]:
        kinds = ("vectors", "errors", "parts")
        return {str(p.relative_to(self.output)): p.read_bytes() for kind in kinds
                for p in sorted((self.output / kind).rglob("*")) if p.is_file()}  # fmt: skip


def ended(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=BUILD_SECONDS)
    assert process.returncode == 3, err  # some images failed: the broken ones
    return out


@pytest.fixture(scope="module")
def undisturbed(bundle: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    runs = Runs(tmp_path_factory.mktemp("undisturbed"), bundle, photos)
    ended(runs.start())
    return runs


@pytest.fixture
def runs(undisturbed: Runs, bundle: Path, photos: Path, tmp_path: Path) -> Runs:
    """A run of the same plan, so that its output can be compared byte for byte."""
    made = Runs(tmp_path, bundle, photos)
    shutil.copytree(undisturbed.output / "runs", made.output / "runs")
    return made


def test_every_good_image_is_a_row_and_every_broken_one_an_error(undisturbed: Runs, photos: Path) -> None:
    keys = [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.png"))]
    broken = {key for key in keys if (photos / key).read_bytes() == b"no image"}
    rows: Any = duckdb.read_parquet(f"{undisturbed.output}/vectors/*/*/*.parquet")
    found = [row[0] for row in rows.select("key").fetchall()]
    assert sorted(found) == sorted(set(keys) - broken)  # a list: a key that is there twice would show
    assert len(list(undisturbed.output.glob("vectors/*/*/*.parquet"))) == SHARDS
    lines = [line for path in undisturbed.output.glob("errors/*/*/*.jsonl") for line in path.read_text().splitlines()]
    assert len(lines) == len(broken) == IMAGES // BROKEN_OF
    assert {json.loads(line)["key"] for line in lines} == broken
    assert undisturbed.redone() == 0


def test_killed_processes_cost_under_2_percent_and_change_nothing(runs: Runs, undisturbed: Runs) -> None:
    chance = random.Random(5)  # noqa: S311 - the same for every run
    said = ended(runs.start(FATAL=name(IMAGES // 2 - chance.randrange(IMAGES // 10))))
    assert "0 shards failed" in said
    assert runs.files() == undisturbed.files()
    assert 0 < runs.redone() < REDONE  # the image that was opened at the end, at least
    assert len({pid for pid, _ in runs.opened()}) == 3


def test_a_run_that_was_killed_as_a_whole_goes_on_from_the_last_images(runs: Runs, undisturbed: Runs) -> None:
    first = runs.start(FATAL=name(IMAGES // 3), FOR_ALL="1")
    first.communicate(timeout=BUILD_SECONDS)
    assert first.returncode == -signal.SIGKILL
    ended(runs.start())
    assert runs.files() == undisturbed.files()
    assert 0 < runs.redone() < 2 * REDONE  # there were two workers


def test_two_executions_of_one_run_at_once_leave_one_output(runs: Runs, undisturbed: Runs) -> None:
    both = [runs.start(), runs.start()]
    for process in both:
        _, err = process.communicate(timeout=BUILD_SECONDS)
        assert process.returncode in (0, 3), err  # which of them met the broken images is open
    assert runs.files() == undisturbed.files()


def test_two_executions_that_plan_at_once_agree_on_one_plan(undisturbed: Runs, bundle: Path, photos: Path) -> None:
    """Left to itself, each would have shards of its own where a file came between their listings."""
    runs = Runs(undisturbed.output.parent / "planning", bundle, photos / "3")
    both = [runs.start("--shard-size", "100") for _ in range(2)]
    for process in both:
        process.communicate(timeout=BUILD_SECONDS)
    rows: Any = duckdb.read_parquet(f"{runs.output}/vectors/*/*/*.parquet").select("key, seen_at").fetchall()
    assert max(Counter(key for key, _ in rows).values()) == 1
    assert len(rows) == 990
    assert len({seen for _, seen in rows}) == 1


def small_run(bundle: Path, tmp_path: Path, kills: str) -> Runs:
    """Eight images, and a signal where `kills` holds for what is opened, as where a decoder crashes or memory ends."""
    (tmp_path / "photos").mkdir()
    for number in range(8):
        (tmp_path / "photos" / f"{number}.png").write_bytes(png(number))
    runs = Runs(tmp_path / "scratch", bundle, tmp_path / "photos")
    site = tmp_path / "scratch" / "site" / "sitecustomize.py"
    site.write_text(f"{REPORTING}\nimport signal\nsys.addaudithook(lambda event, arguments: event == 'open' and "
                    f"{kills} and os.kill(os.getpid(), signal.SIGKILL))")  # fmt: skip
    return runs


def test_an_image_that_kills_every_process_is_named_and_the_rest_is_embedded(bundle: Path, tmp_path: Path) -> None:
    runs = small_run(bundle, tmp_path, "str(arguments[0]).endswith('3.png')")
    out, err = runs.start("--shard-size", "4").communicate(timeout=BUILD_SECONDS)
    assert "7 embedded, 1 failed, 0 shards were done before, 0 shards failed" in out, err
    (path,) = (tmp_path / "scratch" / "output").glob("errors/*/*/00000000.jsonl")
    error = json.loads(path.read_text())
    assert (error["key"], error["code"]) == ("3.png", "worker_ended")
    assert Counter(path for _, path in runs.opened())[f"{tmp_path}/photos/3.png"] == 5
    assert not (tmp_path / "scratch" / "output" / "parts").exists()


def test_shards_whose_processes_are_killed_before_they_begin_are_told(bundle: Path, tmp_path: Path) -> None:
    """As where the memory does not suffice for the model: `ulimit` would stop the first process, too."""
    worker = "any('multiprocessing' in word for word in sys.orig_argv)"
    runs = small_run(bundle, tmp_path, f"{worker} and str(arguments[0]).endswith('manifest.json')")
    process = runs.start("--shard-size", "4", "--tolerated-shards", "100")
    out, err = process.communicate(timeout=BUILD_SECONDS)
    assert process.returncode == 1
    assert "00000001.jsonl: its process ended 3 times before it was done (the last with signal 9" in err
    assert "Traceback" not in err
    assert out.splitlines()[-1].startswith("0 embedded, 0 failed, 0 shards were done before, 2 shards failed")


def test_a_run_of_which_too_much_fails_stops_early_and_says_so(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(400):
        (tmp_path / "photos" / f"{number:03d}.png").write_bytes(b"no image")
    runs = Runs(tmp_path / "scratch", bundle, tmp_path / "photos")
    process = runs.start("--shard-size", "20", "--tolerated-shards", "10")
    _, err = process.communicate(timeout=BUILD_SECONDS)
    assert process.returncode == 1
    assert "20 of 20 images failed, the first with not_an_image" in err
    assert "stopped early: 3 of 20 shards failed, more than the 10 % of --tolerated-shards" in err
    assert len(runs.opened()) < 400
    assert {name.partition("/")[0] for name in runs.files()} <= {"parts"}  # what `resume` goes on from
