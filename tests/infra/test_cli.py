"""`cdk synth` as people type it: the pinned CLI, no Docker, no AWS account, no region."""

import os
import subprocess
import sys
from pathlib import Path

from tests.infra import fake_build

ROOT = Path(__file__).parents[2]
GONE = ("AWS_", "CDK_", "DOCKER_", "JSII_")  # of the environment; the last are those that importing infra set here


def synth(build: Path, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the CLI with nothing of AWS in its environment, and Docker out of its reach."""
    command = [str(ROOT / "node_modules" / ".bin" / "cdk"), "synth", "--quiet", "--output", str(out)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(GONE)}
    nowhere = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(out.parent),
        "DOCKER_HOST": "unix:///nowhere.sock",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return subprocess.run(
        [*command, "-c", f"build_dir={build}", *arguments],
        cwd=ROOT,
        env={**environ, **nowhere},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_two_synths_give_the_same_template_and_the_same_assets(tmp_path: Path) -> None:
    build = fake_build.write(tmp_path / "build")

    runs = [synth(build, tmp_path / name) for name in ("first", "second")]

    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    assert "end-of-life" not in runs[0].stderr  # jsii's page about Node's age would hide what matters
    for name in ("openclip.template.json", "openclip.assets.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_without_a_package_only_the_command_to_run_is_printed(tmp_path: Path) -> None:
    build = fake_build.write(tmp_path / "build")
    (build / "package.json").unlink()

    run = synth(build, tmp_path / "out")

    assert run.returncode == 1
    assert "error: " in run.stderr
    assert "run `make package`" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    run = synth(fake_build.write(tmp_path / "build"), tmp_path / "out", "-c", "memory=64")

    assert run.returncode == 1
    assert "error: memory=64" in run.stderr
