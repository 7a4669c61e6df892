"""The workflows run what contributors run, and the weekly one really takes the pins off."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", [path for path in WORKFLOWS if path.stem != "site"], ids=lambda path: path.stem)
def test_a_workflow_runs_the_script_that_every_machine_runs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "bash .ci/run" in text
    assert "contents: read" in text


def test_the_weekly_run_takes_the_pins_off_open_clip_and_what_it_brings() -> None:
    text = (ROOT / ".github" / "workflows" / "newest-open-clip.yml").read_text(encoding="utf-8")
    found = re.search(r"sed -i -E 's/(?P<pattern>.+)/\\1/' requirements\.txt", text)
    assert found, "no sed over requirements.txt"
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    changed = {re.sub(found["pattern"], r"\1", line) for line in pinned} - set(pinned)
    assert changed == {"open_clip_torch", "timm", "transformers", "huggingface_hub", "tokenizers"}


def test_the_site_is_published_as_make_site_builds_it_and_only_after_ci_has_passed() -> None:
    text = (ROOT / ".github" / "workflows" / "site.yml").read_text(encoding="utf-8")
    [target] = re.findall(r"run: make (\S+)", text)
    assert f"site: $(SITE)/{target.removeprefix('build/site/')}" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "workflows: [CI]" in text
    assert "workflow_run.conclusion == 'success'" in text
    for name in ("SITE_URL", "SITE_REPOSITORY"):
        assert name in text
        assert f"!ENV [{name}" in (ROOT / "docs" / "site" / "mkdocs.yml").read_text(encoding="utf-8")


def test_pre_commit_runs_the_tools_of_make_lint() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    for tool in ("ruff check", "ruff format", "mypy"):
        assert f"bin/{tool}" in recipe
        assert f"bin/{tool}" in hooks
