"""Progress of long work: a bar on a terminal, plain lines elsewhere, and no bar that is made in another way."""

import contextlib
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from layer import progress

ROOT = Path(__file__).parents[3]
CODE = 'from layer.progress import each\nfor item in each(["first", "second"], "work", "start", str): pass'


def test_a_log_has_lines_without_control_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    assert list(progress.each(["a", "b"], "work", "start", lambda item: f"on {item}")) == ["a", "b"]
    assert capsys.readouterr().err.splitlines() == [
        "work: 0 of 2 starts (0%)",
        "work: 1 of 2 starts (50%), on a",
        "work: 2 of 2 starts (100%), on b",
    ]


def test_the_number_of_steps_is_right_from_the_first_one_on(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.steps("acme", 3) as step:
        step("export")
        for recipe in ("fast", "exact"):  # the first is not exact enough
            step("tower", recipe)
            step("comparing")
    assert capsys.readouterr().err.splitlines() == [
        "acme: step 1 of 3, export",
        "acme: step 2 of 3, tower: fast",
        "acme: step 3 of 3, comparing",
        "acme: step 3 of 3, tower: exact",
        "acme: step 3 of 3, comparing",
    ]


STEPS = """
from layer.progress import steps
with steps("acme", 2) as step:
    for name in ("tower", "comparing", "tower", "comparing"): step(name, "x")
"""


def test_a_terminal_never_counts_beyond_the_steps_that_there_are() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    subprocess.run([sys.executable, "-c", STEPS], stderr=theirs, cwd=ROOT, check=True)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as stream:
        while part := stream.read(1000):
            shown += part
    assert {*re.findall(rb"step (\d of \d)", shown)} <= {b"0 of 2", b"1 of 2", b"2 of 2"}
    assert b"2 of 2" in shown


def test_a_terminal_has_a_bar_that_names_what_is_under_way() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    subprocess.run([sys.executable, "-c", CODE], stderr=theirs, cwd=ROOT, check=True)
    os.close(theirs)
    shown = ""
    with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as stream:  # the terminal's end is an error
        while part := stream.read(1000):
            shown += part.decode()
    assert "\r" in shown
    assert "first" in shown
    assert "2/2" in shown


@pytest.mark.parametrize("package", ["benchmarks", "layer"])
def test_nothing_else_makes_a_bar(package: str) -> None:
    code = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / package).rglob("*.py")}
    assert {name for name, text in code.items() if " tqdm(" in text} <= {"layer/progress.py"}
