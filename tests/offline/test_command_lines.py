"""No command line ends in a traceback, whatever it is given and whatever fails under it: see command_fuzz.py."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hub import repositories
from tests.hub.builder import Builder
from tests.hub.server import serving
from tests.patience import SECONDS

ROOT = Path(__file__).parents[2]
SEED, COUNT = 20261126, 2_000
PYTHON = sys.executable
COMMANDS = (
    "-m layer models --all",
    "-m layer models",
    "-m layer verify --bundle nowhere",
    "-m layer build --models nowhere.toml",
    "-m layer --help",
    "-m client health --url http://127.0.0.1:9",
    "-m handler.selfcheck --bundle nowhere",
    "-m infra.summary --output nowhere",
)
# How a shell starts it: $0 is the command. `head -c 0` reads nothing and is gone at once.
SHELLS = {
    "closed stdout": "$0 >&-",
    "closed stderr": "$0 2>&-",
    "everything closed": "$0 <&- >&- 2>&-",
    "full disk": "$0 >/dev/full",
    "pipe that ends": "{ $0; echo $? >&3; } 3>status | head -c 0",
    "ascii": "LC_ALL=POSIX PYTHONIOENCODING=ascii PYTHONUTF8=0 $0",
    "no home": "env -u HOME -u TMPDIR $0",
    "directory gone": "mkdir gone && cd gone && rmdir ../gone && $0",
    "few files": "ulimit -n 40 && $0",
}
STATUSES = {0, 1, 2, 128 + signal.SIGPIPE}


@pytest.mark.timeout(1500)
def test_2000_command_lines_end_without_a_traceback_and_name_the_fix(tmp_path: Path) -> None:
    command = [PYTHON, "-m", "tests.offline.command_fuzz", str(SEED), str(COUNT), str(tmp_path)]
    environ = {"PATH": os.environ["PATH"], "HF_HOME": str(tmp_path / "hf"), "TMPDIR": str(tmp_path)}
    environ["PYTHONHASHSEED"] = "0"  # the order of a set says which call of the file system is the n-th
    run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=1500, check=False)

    assert run.returncode == 0, run.stderr[-3000:]
    report = json.loads(run.stdout)
    problems = [f"{row['case']}\n{row['problem']}: {row['stderr'][-1500:]}" for row in report["problems"]]
    assert problems == [], f"{len(problems)} of {COUNT}, of which the first:\n{problems[0]}"
    assert sum(report["ends"].values()) == COUNT
    done = {end.rpartition(" ")[0] for end in report["ends"] if end.endswith(" 0")}
    not_done = {"layer", "client", "layer.registry.sizes_page"} - done
    assert not_done == set(), "nothing of these was run to its end"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("command", COMMANDS)
def test_as_a_process_of_its_own_it_ends_in_order_too(tmp_path: Path, command: str, shell: str) -> None:
    started = SHELLS[shell].replace("$0", f"{PYTHON} {command}")
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    run = subprocess.run(
        ["sh", "-c", started], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=SECONDS
    )

    told = run.stderr
    assert "Traceback" not in told
    assert "Exception ignored" not in told
    assert "defect" not in told
    status = int((tmp_path / "status").read_text()) if shell == "pipe that ends" else run.returncode
    assert status in STATUSES, told


def test_ctrl_c_during_the_first_second_is_one_line_too(tmp_path: Path) -> None:
    with serving() as hub:
        hub.add("acme/tiny", repositories.tiny_model(tmp_path / "tiny", "acme/tokenizer"))
        hub.add("acme/tokenizer", repositories.tokenizer_without_config(tmp_path / "tokenizer"))
        hub.stalled.add("open_clip_model.safetensors")  # the build is not over however late the signal comes
        builder = Builder(tmp_path / "work", hub)
        process = builder.start()
        while not (builder.root / "cache").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=SECONDS)[1]

    assert process.returncode == 128 + signal.SIGINT, told
    assert told.strip().splitlines()[-1].startswith("stopped")
    assert "Traceback" not in told
