"""A folder's run: how the client starts the repository's code, shows how far it is, and stops it.

The repository is a stand-in here, whose `handler.batch` writes the files of a run at once or slowly. tests/e2e runs the
real one.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from handler.batch import command
from tests.unit.client.batch.documents import ENDED, FOLDER, STATUS, check

ROOT = Path(__file__).parents[4]
STAND_IN = """
import json, os, pathlib, signal, sys, time
source, output = sys.argv[1], pathlib.Path(sys.argv[3])
words = dict(zip(sys.argv[2::2], sys.argv[3::2]))
run = words["--run"]
(output / f"runs/{run}").mkdir(parents=True, exist_ok=True)
facts = {"arguments": sys.argv[1:], "bundle": os.environ["OPENCLIP_BUNDLE_DIR"], "source": os.path.abspath(source)}
(output / f"runs/{run}/plan.json").write_text(json.dumps({"shards": 3, "images": 250, "bytes": 9, **facts}))
print("a line of the handler", file=sys.stderr, flush=True)
done = output / f"vectors/model=0123/run={run}"
done.mkdir(parents=True, exist_ok=True)
try:
    for number in range(3):
        (done / f"{number:08d}.parquet").write_bytes(b"PAR1")
        if "slowly" in source:
            (output / "begun").touch()
            time.sleep(600)
except KeyboardInterrupt:
    (output / "ended").touch()
    sys.exit(130)
errors = output / f"errors/model=0123/run={run}"
errors.mkdir(parents=True, exist_ok=True)
row = {"bucket": "", "key": "a.png", "code": "not_an_image", "message": "no"}
(errors / "00000000.jsonl").write_text(json.dumps(row) + "\\n")
sys.exit(3)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "handler" / "batch").mkdir(parents=True)
    (root / "layer").mkdir()
    for name, text in (("__init__", ""), ("batch/__init__", ""), ("batch/app", ""), ("batch/__main__", STAND_IN)):
        (root / "handler" / f"{name}.py").write_text(text)
    bundle = root / "build" / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "manifest.json").write_text("{}")
    for name in ("photos", "slowly"):
        (root / name).mkdir()
    return root


def started(cwd: Path, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
    """Start `openclip-lambda batch ...` as it is installed: without the repository on its path."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "client" / "src"), **environ}
    command = [sys.executable, "-P", "-m", "openclip_lambda", "batch", *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=cwd, env=env, **pipes)


def ended(cwd: Path, *arguments: str, **environ: str) -> tuple[int, str, str]:
    process = started(cwd, *arguments, **environ)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_the_repositorys_own_code_runs_with_its_bundle_and_the_status_is_its(repository: Path) -> None:
    asked = ("start", "photos", "--output", "out", "--shard-size", "100", "--processes", "2", "--json")
    status, out, err = ended(repository, *asked)

    found = json.loads(out)
    check(found, ENDED)
    assert status == found["exit_status"] == 3, err
    assert (found["status"], found["failed"], found["images"]) == ("SUCCEEDED", 1, {"total": 250, "done": 250})
    assert "a line of the handler" in err
    plan = json.loads((repository / "out/runs/local/plan.json").read_text())
    assert plan["arguments"] == [
        "photos",
        *["--output", "out", "--run", "local", "--shard-size", "100", "--processes", "2"],
    ]
    assert plan["bundle"] == str(repository / "build" / "bundle")

    status, out, err = ended(repository, "resume", "--output", "out")
    assert status == 3
    assert "results are in out" in out
    assert "1 image could not be embedded: see `batch errors --output out`" in out


def test_a_folder_alone_is_enough(repository: Path) -> None:
    assert ended(repository, "start", "./photos")[0] == 3
    assert (repository / "vectors" / "runs" / "local" / "plan.json").is_file()


def test_resume_goes_on_with_the_latest_run_of_a_folder(repository: Path) -> None:
    """As docs/client.md says; the run of a folder has another name than `local` where one is given, or --changes is."""
    runs = repository / "out" / "runs"
    for number, run in enumerate(("of-a-bucket", "changes-1", "local", "damaged", "unplanned")):
        (runs / run).mkdir(parents=True)
        facts = {"shards": 3, "images": 250, "bytes": 9, "source": str(repository / "photos"), "listed_at": number}
        (runs / run / "plan.json").write_text(json.dumps(facts))
    bucket = {"shards": 1, "images": 1, "bytes": 1, "source": "s3://photos/", "listed_at": 10**13}
    (runs / "of-a-bucket" / "plan.json").write_text(json.dumps(bucket))
    (runs / "damaged" / "plan.json").write_text("null")
    (runs / "unplanned" / "plan.json").unlink()  # of one that was killed while it listed

    status, out, err = ended(repository, "resume", "--output", "out")
    assert (status, out.partition(":")[0]) == (3, "run local"), err
    latest = json.loads((runs / "changes-1" / "plan.json").read_text())
    (runs / "changes-1" / "plan.json").write_text(json.dumps({**latest, "listed_at": 9}))
    status, out, err = ended(repository, "resume", "--output", "out")
    assert (status, out.partition(":")[0]) == (3, "run changes-1"), err
    status, _, err = ended(repository, "resume", "--output", "out", "--run", "june")
    assert status == 1
    there = "changes-1, damaged, local, of-a-bucket, unplanned"
    assert f"no run june was planned in out (there: {there}): give --run, or `batch start" in err


def test_folders_whose_names_begin_as_options_do_are_folders(repository: Path) -> None:
    (repository / "-photos").mkdir()
    status, _, err = ended(repository, "start", "./-photos", "--output", "./-out")
    assert status == 3, err
    plan = json.loads((repository / "-out/runs/local/plan.json").read_text())
    parsed = command._parser().parse_args(plan["arguments"])  # as the command does that is started
    assert (parsed.source, parsed.output) == (Path("-photos"), Path("-out"))


def test_changes_are_a_run_of_their_own(repository: Path) -> None:
    for _ in range(2):
        assert ended(repository, "start", "photos", "--changes")[0] == 3
    plans = [json.loads(path.read_text()) for path in (repository / "vectors" / "runs").glob("*/plan.json")]
    assert len(plans) == 2
    assert all(plan["arguments"][-1] == "--changes" for plan in plans)


def test_ctrl_c_lets_the_run_end_itself_and_says_how_it_goes_on(repository: Path) -> None:
    process = started(repository, "start", "slowly", "--output", "out")
    deadline = time.monotonic() + 120
    while not (repository / "out" / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)

    assert process.returncode == 130, err
    assert "batch resume --output out" in err
    assert "Traceback" not in err
    assert (repository / "out" / "ended").exists()
    status, out, _ = ended(repository, "status", "--output", "out", "--json")
    check(json.loads(out), STATUS)
    assert (status, json.loads(out)["shards"]["done"]) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("start", "nowhere", "--output", "out"), "nowhere is no folder"),
        (("start", "photos", "--output", "out", "--run", "a b"), "use letters"),
        (("start", "photos", "--output", "out", "--since", "2026-01-01"), "--since is for a bucket"),
        (("start", "s3://photos/2026/", "--changes"), "--changes is for a folder of this machine"),
        (("start", "photos", "--output", "out", "--bundle", "photos"), "python -m layer build"),
        (("status", "--output", "out"), "has no runs"),
        (("errors", "--output", "out"), "has no runs"),
        (("errors", "--output", "out", "--run", "x"), "no run x was planned in out (there: none)"),
        (("status", "--output", "out", "--run", "x"), "no run x was planned in out"),
        (("resume", "--output", "out"), "batch start <folder> --output out"),
        (("estimate", "nowhere"), "nowhere is no folder"),
        (("estimate", ""), "the source is empty"),
        (("start", "", "--output", "out"), "the source is empty"),
    ],
)
def test_what_cannot_be_meant_is_told_and_writes_nothing(
    arguments: tuple[str, ...], says: str, repository: Path
) -> None:
    status, out, err = ended(repository, *arguments)
    assert (status, out) == (1, "")
    assert says in err
    assert not (repository / "out").exists()


def test_without_its_packages_or_a_bundle_the_message_says_what_to_do(repository: Path) -> None:
    asked = ("start", "photos", "--output", "out")
    status, _, err = ended(repository, *asked, OPENCLIP_BUNDLE_DIR="/nowhere")
    assert status == 1
    assert "/nowhere is no bundle" in err
    (repository / "handler" / "batch" / "app.py").write_text("import no_such_package_here")
    status, _, err = ended(repository, *asked)
    assert status == 1
    assert "No module named 'no_such_package_here'" in err
    assert "pip install arro3-core arro3-io" in err


def test_a_folder_is_estimated_without_dollars(repository: Path) -> None:
    for number in range(3):
        (repository / "photos" / f"{number}.png").write_bytes(b"1234")
    status, out, _ = ended(repository, "estimate", "photos", "--json")
    found = json.loads(out)
    check(found, FOLDER)
    assert (status, found["images"], found["bytes"]) == (0, 3, 12)


def test_a_run_of_another_folder_is_not_gone_on_with(repository: Path) -> None:
    ended(repository, "start", "photos")
    status, out, err = ended(repository, "start", "slowly")
    assert (status, out) == (1, "")
    assert f"run local in vectors is of {repository / 'photos'}: give another --output" in err


def test_an_output_with_several_runs_asks_which(repository: Path) -> None:
    for name in ("one", "two"):
        ended(repository, "start", "photos", "--output", "out", "--run", name)
    status, _, err = ended(repository, "status", "--output", "out")
    assert status == 1
    assert "give --run, one of one, two" in err


def test_without_the_repository_the_message_says_where_to_go(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    shutil.copytree(ROOT / "client" / "src" / "openclip_lambda", tmp_path / "site" / "openclip_lambda")
    asked = ("start", "photos", "--output", "out")
    status, _, err = ended(tmp_path, *asked, PYTHONPATH=str(tmp_path / "site"))
    assert status == 1
    assert "Change to a checkout of it" in err
