"""The doctor at first contact: what is not there, is something else, cannot be read, or never ends."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from layer.doctor import examine as examination
from layer.doctor.checks.symptoms import log_symptoms, symptoms
from layer.doctor.examine import examine
from layer.doctor.limits import Budget
from layer.doctor.readers.dockerfile import read_dockerfile
from layer.doctor.show import show
from layer.findings.finding import Finding
from layer.findings.printable import printable
from tests.unit.doctor_files.raw import image, member, tar

ROOT = Path(__file__).parents[3]


def doctor(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "layer", "doctor", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("what", ["docs", "README.md", "empty"])
def test_finding_nothing_known_is_reported_with_what_is_expected(tmp_path: Path, what: str) -> None:
    run = doctor(str(tmp_path) if what == "empty" else what)

    assert run.returncode == 1
    assert "error: nothing-known" in run.stdout
    assert "fix: name a Hugging Face cache" in run.stdout


@pytest.mark.parametrize(
    "what", ["no/such/file", "/no/such/file", "", "no such file", "-rf", "x" * 5000, "http://[", "\udcff"]
)
def test_what_is_not_there_or_no_name_is_one_line(what: str) -> None:
    run = doctor("--", what)

    assert run.returncode == 1
    assert len((run.stderr or run.stdout.splitlines()[0]).splitlines()) == 1
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("http://127.0.0.1:1", "check the address (the deployment's output Url), and the network"),
        ("s3://my-bucket/layer.zip", "is no address of a function, which begins with https://"),
        ("file:///tmp/x", "examine a copy on this machine"),
    ],
)
def test_an_address_at_which_nothing_answers_is_one_line(what: str, told: str) -> None:
    run = doctor(what)

    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"error: {what} ")
    assert run.stderr.count("\n") == 1
    assert told in run.stderr


def test_seconds_that_are_none_are_a_usage_error() -> None:
    run = doctor("--timeout", "-5", "docs")

    assert run.returncode == 2
    assert "'-5' is not a whole number above 0" in run.stderr


def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").touch(0o600)
    (tmp_path / "folder").mkdir(0o700)
    # Nothing is unreadable to root, so the examination runs as nobody, in a process that has imported all it needs.
    code = (
        "import os, sys; from layer.doctor.examine import examine\n"
        "os.chdir(sys.argv[1]); os.getuid() or os.setuid(65534)\n"
        "print([(f.code, f.where, f.detail) for what in ('file', 'folder') for f in examine(what)])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert "('unreadable', 'file', 'Permission denied')" in run.stdout, run.stderr
    assert "('unreadable', 'folder', 'Permission denied')" in run.stdout


def test_a_log_can_come_from_standard_input() -> None:
    run = doctor("-", input="OSError: [Errno 38] Function not implemented\n")

    assert "error: shared-memory-needed: standard input" in run.stdout


def test_an_input_that_never_ends_is_left_at_the_timeout() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as stream:
        stream.write(b"SemLock\n")
        stream.flush()
        run = doctor("--timeout", "4", "-", stdin=reader, timeout=120)  # of itself it would never end
    os.close(reader)

    assert run.returncode == 1
    assert "error: too-much-to-examine" in run.stdout


def test_the_doctor_imports_neither_torch_nor_open_clip_nor_the_hub() -> None:
    code = (
        "import sys; from layer.doctor.examine import examine\n"
        "import layer.doctor.checks.address, layer.doctor.own_process\n"
        "examine('layer/demo/hub'); examine('handler')\n"
        "print(sorted({'torch', 'open_clip', 'transformers', 'huggingface_hub', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert run.stdout == "[]\n"


def test_a_changed_file_of_a_bundle_is_named_and_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "x").write_text("changed")
    (tmp_path / "manifest.json").write_text('{"files": [{"path": "models/x", "size": 7, "sha256": "0"}]}')

    [finding] = examine(str(tmp_path))

    assert (finding.code, finding.where, finding.detail) == ("bundle-broken", "models/x", "its sha256 is another")


def test_findings_of_one_kind_are_counted_beyond_twenty(tmp_path: Path) -> None:
    (tmp_path / "models--a--b" / "snapshots" / "x").mkdir(parents=True)
    for number in range(50):
        (tmp_path / "models--a--b" / f"{number}.partial").touch()

    found = [finding for finding in examine(str(tmp_path)) if finding.code == "incomplete-download"]

    assert len(found) == examination.MAX_OF_A_CODE + 1
    assert "and 30 places more" in {finding.where for finding in found}


@pytest.mark.parametrize(
    "text", ["\x1b[31m", "\x07", "\u202e", "\u2028", "\n", "\x9b", "\udcff", "\x7f", "\u200b", "\ufeff"]
)
def test_foreign_text_is_printable(text: str) -> None:
    shown = printable(f"a{text}b")

    assert shown.isprintable()
    assert shown.startswith("a\\")


def test_a_report_can_be_printed_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)

    show("ü", [Finding("refs-unknown", "ключ", "鍵")])

    stream.flush()
    assert b"\\u0447" in stream.buffer.getvalue()


def test_a_here_document_is_no_instruction() -> None:
    found = read_dockerfile(
        "FROM a\nENV HF_HOME=/x\nRUN <<EOF python\nFROM b\nENV HF_HOME=\ncreate_model\nEOF\nENV B=c\n"
    )

    assert (found.base, found.environ) == ("a", {"HF_HOME": "/x", "B": "c"})
    [fetch] = found.fetches
    assert (fetch.command, fetch.place) == ("<<EOF python\nFROM b\nENV HF_HOME=\ncreate_model", "/x/hub")


def cost(work: Callable[[], object]) -> float:
    """Return the least CPU time of three runs."""
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def log(text: str, count: int) -> Callable[[], object]:
    return lambda: list(log_symptoms(io.BytesIO((text * count).encode()), "x", Budget()))


def message(text: str, count: int) -> Callable[[], object]:
    return lambda: list(symptoms(text * count, "x"))


def dockerfile(text: str, count: int) -> Callable[[], object]:
    return lambda: read_dockerfile(text * count)


GROWING: dict[str, tuple[Callable[[str, int], Callable[[], object]], tuple[str, ...]]] = {
    "log": (log, ("Errno 30 ", "Errno 30\n.locks", "cannot cache function ", "Read-only file system: \n", "x", "\n")),
    "message": (message, ("Errno 30 ", "Errno 30\nhuggingface", ": no locator available cannot cache function ")),
    "Dockerfile": (
        dockerfile,
        (
            *("ENV A='", "RUN \\\n", "\\\n#\\\n", "RUN <<E\n", "<<E ", "ENV a=1\nRUN create_model\n", "RUN ["),
            *("hf download ", "FROM lambda/python:3.", "\t \\\n", '"', "ENV B \\\n"),
        ),
    ),
}
CASES = [pytest.param(make, text, id=f"{name}-{text!r}") for name, (make, texts) in GROWING.items() for text in texts]


@pytest.mark.parametrize(("reader", "text"), CASES)
def test_the_cost_of_text_grows_in_proportion(reader: Callable[[str, int], Callable[[], object]], text: str) -> None:
    """Eight times the text costs about eight times as much: a square would cost 64 times."""
    count = 100_000 // len(text)

    assert cost(reader(text, 8 * count)) < 24 * cost(reader(text, count)) + 0.05


def test_an_image_is_asked_for_by_name_and_named_so_in_the_findings(tmp_path: Path) -> None:
    image(tmp_path, tar(member("var/task/open_clip/__init__.py")))
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$1 $2 $4 $5" = "save -o -- acme/clip:1" ] && cp {tmp_path}/image.tar "$3"\n')
    docker.chmod(0o755)

    run = doctor("acme/clip:1", env={"PATH": f"{tmp_path}:/usr/bin:/bin"})

    assert (run.returncode, run.stdout, run.stderr) == (0, "acme/clip:1: 0 errors, 0 warnings\n", "")
