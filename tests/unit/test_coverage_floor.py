"""The floor of coverage never falls: it is compared with what every commit before had, and with what stands here."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEAST = 72  # where there is no history, as in an archive of the sources; raise it with the floor
LINE = re.compile(r"^fail_under = (\d+)", re.MULTILINE)


def git(root: Path, *arguments: str) -> str:
    """Run git on a clone whoever owns it. It may be missing; what it says must not be."""
    command = ["git", "-C", str(root), "-c", "safe.directory=*", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def floors_of_the_past(root: Path) -> list[int]:
    """Return the floor of each commit that changed it; none where there is no history."""
    if not (root / ".git").exists() or shutil.which("git") is None:
        return []
    commits = git(root, "log", "--format=%H", "-G", "^fail_under = ", "--", "pyproject.toml").split()
    found = [LINE.search(git(root, "show", f"{commit}:pyproject.toml")) for commit in commits]
    return [int(match[1]) for match in found if match]


def test_the_floor_is_no_lower_than_any_before_it() -> None:
    floor = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["coverage"]["report"][
        "fail_under"
    ]
    highest = max([LEAST, *floors_of_the_past(ROOT)])
    assert floor >= highest, (
        f"pyproject.toml has fail_under = {floor}, it was {highest}: test what is new, or remove it"
    )


def test_the_floor_of_this_file_is_that_of_pyproject() -> None:
    found = LINE.search((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert found
    assert int(found[1]) == LEAST


def test_a_floor_that_was_lowered_again_is_found_in_the_history(tmp_path: Path) -> None:
    assert floors_of_the_past(tmp_path) == []
    git(tmp_path, "init", "-q")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
    for number, content in enumerate(("", "fail_under = 50  # percent\n", "fail_under = 64\n", "fail_under = 55\n")):
        (tmp_path / "pyproject.toml").write_text(f"[tool.coverage.report]\n{content}")
        git(tmp_path, "add", "pyproject.toml")
        git(tmp_path, *identity, "commit", "-q", "-m", str(number))

    assert sorted(floors_of_the_past(tmp_path)) == [50, 55, 64]


@pytest.mark.parametrize("target", ["unit", "infra"])
def test_make_counts_what_is_run_and_make_test_holds_it_to_the_floor(target: str) -> None:
    recipes = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:.*\n\t.* \$\(COUNTED\)", recipes, re.MULTILINE)
    assert re.search(r"^COUNTED := --cov ", recipes, re.MULTILINE)
    assert re.search(r"^coverage: unit infra .*\n\t.*coverage report", recipes, re.MULTILINE)
    assert re.search(r"^test: .*\bcoverage\b", recipes, re.MULTILINE)
