"""The words of `openclip-lambda batch`: help, the nearest right word, and completion by a real shell."""

import shutil
import subprocess
from pathlib import Path

import pytest
from openclip_lambda.cli import main as cli

VERBS = ("estimate", "start", "status", "errors", "resume", "index")
ASK = '. "$0"; COMP_WORDS=({words}); COMP_CWORD={place}; _shtab_openclip_lambda; echo "${{COMPREPLY[@]}}"'


def ends(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    return ended.value.code


@pytest.mark.parametrize("verb", VERBS)
def test_each_command_has_help_and_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("batch", verb, "--help") == 0
    told = capsys.readouterr().out
    assert f"batch {verb} [-h]" in told
    assert "--json" in told


def test_the_nearest_word_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("batch", "estimat", "s3://b") == 2
    assert "did you mean 'estimate'?" in capsys.readouterr().err
    assert ends("batch", "start", "s3://b", "--shard-sice", "3") == 2
    assert "did you mean '--shard-size'?" in capsys.readouterr().err
    assert ends("batch", "start", "s3://b", "--shard-size", "0") == 2
    assert "no number from 1 to 10000" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("words", "completed"),
    [("batch", set(VERBS)), ("batch st", {"start", "status"}), ("batch start --shard", {"--shard-size"})],
)
def test_a_shell_completes_them(
    words: str, completed: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends("--print-completion", "bash") == 0
    script = tmp_path / "completion.bash"
    script.write_text(capsys.readouterr().out)
    given = ["openclip-lambda", *words.split(), *([""] if words == "batch" else [])]
    line = ASK.format(words=" ".join(f'"{word}"' for word in given), place=len(given) - 1)
    found = subprocess.run(["bash", "-c", line, str(script)], capture_output=True, text=True, check=True, timeout=30)
    assert completed <= set(found.stdout.split())
