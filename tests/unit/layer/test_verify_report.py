"""What `verify` makes of the report of the shipped handler: nothing but a good one passes."""

import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from layer.bundle import sandbox, verify
from layer.errors import VerifyError

MODEL = {
    "id": "org/model",
    "ok": True,
    "token_ids_equal": True,
    "min_text_cosine": 0.9995,
    "min_image_cosine": 0.9993,
    "required_cosine": 0.999,
    "error": None,
}
GOOD = {"ok": True, "manifest_sha256": "0" * 64, "changed_files": [], "missing_decoders": [], "models": [MODEL]}


def with_model(**changed: Any) -> dict[str, Any]:
    return {**GOOD, "ok": False, "models": [MODEL, {**MODEL, "id": "org/other", "ok": False, **changed}]}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the sandbox runs and answers: its only entry is filled in by the test."""
    runs: list[dict[str, Any]] = [{}]

    def run(_: Path, arguments: list[str], environ: dict[str, str]) -> CompletedProcess[str]:
        answer = runs[0]
        answer |= {"arguments": arguments, "environ": environ}
        said = answer["said"]
        text = said if isinstance(said, str) else json.dumps(said)
        return CompletedProcess(arguments, answer.get("status", 0), text, answer.get("stderr", ""))

    monkeypatch.setattr(sandbox, "run", run)
    return runs


def test_a_good_report_is_returned(ran: list[dict[str, Any]], tmp_path: Path) -> None:
    ran[0] = {"said": GOOD}
    assert verify.run_handler(tmp_path, needs_torch=False) == GOOD
    assert ran[0]["arguments"][:3] == ["-m", "layer.bundle.runtime_only", "handler.selfcheck"]
    assert ran[0]["environ"] == {}


@pytest.mark.parametrize(
    ("said", "status", "stderr", "reason"),
    [
        (with_model(error="OSError: no weights"), 1, "", r"\n  org/other: OSError: no weights\nBuild it again"),
        (
            with_model(min_image_cosine=0.99899),
            1,
            "",
            r"\n  org/other: token ids equal, lowest cosine to open_clip 0\.999500 \(texts\) and 0\.998990 \(images\), "
            r"required 0\.999\n",
        ),
        (with_model(token_ids_equal=False), 1, "", r"org/other: token ids DIFFERENT, "),
        (with_model(token_ids_equal=False), 0, "", r"org/other: token ids DIFFERENT, "),  # whatever its exit status
        ({**GOOD, "ok": False, "changed_files": ["a.bin was changed"]}, 1, "", r"\n  a\.bin was changed\n"),
        ({**GOOD, "ok": False, "missing_decoders": ["no decoder"]}, 1, "", r"\n  no decoder\n"),
        ({"ok": False, "reason": "a setting is wrong"}, 1, "", r"\n  a setting is wrong\n"),
        (GOOD, 1, "it died later", r"\n  it died later\n"),
        ({}, 0, "nothing was said", r"\n  nothing was said\n"),
        ("", -9, "Killed", r"died on .* without a report:\nKilled"),
    ],
)
def test_every_other_report_is_refused_with_its_reason(
    ran: list[dict[str, Any]], tmp_path: Path, said: Any, status: int, stderr: str, reason: str
) -> None:
    ran[0] = {"said": said, "status": status, "stderr": stderr}
    with pytest.raises(VerifyError, match=reason) as refused:
        verify.run_handler(tmp_path)
    assert "org/model" not in str(refused.value), "which is as it should be"


def test_a_function_that_does_not_start_with_own_code_is_no_bundle_to_build_again(
    ran: list[dict[str, Any]], tmp_path: Path
) -> None:
    ran[0] = {"said": {"ok": False, "reason": "handler_ext: no such module"}, "status": 1}
    with pytest.raises(VerifyError, match=r"the function does not start: handler_ext: no such module$"):
        verify.run_handler(tmp_path, own=tmp_path / "own")
    assert ran[0]["environ"] == {"OPENCLIP_EXTENSIONS": str(tmp_path / "own")}


def test_of_many_problems_ten_are_shown_and_the_others_counted(ran: list[dict[str, Any]], tmp_path: Path) -> None:
    ran[0] = {"said": {**GOOD, "ok": False, "changed_files": [f"file {number}" for number in range(12)]}, "status": 1}
    with pytest.raises(VerifyError) as refused:
        verify.run_handler(tmp_path)
    lines = str(refused.value).splitlines()
    assert [line.strip() for line in lines[1:-1]] == [*(f"file {number}" for number in range(10)), "and 2 more"]
