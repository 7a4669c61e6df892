"""Ten mistakes of a first run: each is answered soon, by what to do."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from console.setup import machine
from layer.bundle import sandbox

ROOT = Path(__file__).parents[2]
SECONDS = 10  # of processor time, on a slow machine; elsewhere it is one
PYTHON = [sys.executable, "-m"]
# `python -m layer doctor --setup`, which leaves out what is not told within seconds, with time for a busy machine.
SETUP = """
import functools, sys
from layer.cli import doctor_command
from layer.cli.parser import main
doctor_command.Asked = functools.partial(doctor_command.Asked, seconds=60)
sys.exit(main(["doctor", "--setup", *sys.argv[1:]]))
"""


def answer(command: Sequence[str], where: Path = ROOT, environ: Mapping[str, str] | None = None) -> str:
    """Run a command that has to fail, and return what it said."""
    before = _children()
    nothing = {"HOME": "/nowhere", "AWS_EC2_METADATA_DISABLED": "true", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        command,
        cwd=where,
        env={"PATH": os.environ["PATH"], **nothing, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode in (1, 2), run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    assert _children() - before < SECONDS
    return run.stdout + run.stderr


def setup(*options: str, where: Path = ROOT) -> str:
    return answer([sys.executable, "-c", SETUP, *options], where, {"HF_HUB_OFFLINE": "1"})


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def only(folder: Path, *programs: str) -> dict[str, str]:
    """Return an environment whose PATH has a few programs and no others."""
    folder.mkdir()
    for name in programs:
        (folder / name).symlink_to(str(shutil.which(name)))
    return {"PATH": str(folder)}


def packaged(build: Path, role: str) -> Path:
    build.mkdir()
    (build / "package.json").write_text(json.dumps({"artefacts": [{"role": role}]}))
    return build


def test_1_a_python_that_is_too_old() -> None:
    program = (
        "import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0); sys.argv = ['console/preflight.py']; "
        "runpy.run_path('console/preflight.py', run_name='__main__')"
    )
    told = answer([sys.executable, "-c", program])
    assert "is Python 3.9, and 3.11 or later is needed" in told
    assert "PYTHON=python3" in told


def test_2_no_node(tmp_path: Path) -> None:
    told = answer(["make", "deploy"], environ=only(tmp_path / "bin", "make", "sh", "uname", "python3"))
    assert "Node.js 18 or later with npm is needed, for the CDK CLI: install it from nodejs.org" in told


def test_3_no_docker(tmp_path: Path) -> None:
    build = packaged(tmp_path / "build", "image")
    told = answer([*PYTHON, "infra.ready", "-c", f"build_dir={build}"], environ=only(tmp_path / "bin", "sh"))
    assert "docker is not installed: install Docker and start it, or set package" in told


def test_4_no_network(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text('[[model]]\nname = "ViT-B-32"\npretrained = "openai"\n')
    build = ["layer", "build", "--models", str(tmp_path / "models.toml"), "--output", str(tmp_path / "out")]
    told = answer([*sandbox.namespaces(), *PYTHON, *build, "--cache", str(tmp_path / "cache")])
    assert "cannot be reached" in told
    assert "Check the network; behind a proxy set HTTPS_PROXY" in told
    assert "the embedded demo model needs no network" in told


def test_5_a_models_name_misspelt(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text('[[model]]\nname = "ViT-B32"\npretrained = "openai"\n')
    told = answer([*PYTHON, "layer", "build", "--models", str(tmp_path / "models.toml")])
    assert "did you mean 'ViT-B-32'?" in told


def test_6_another_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = setup("--for", "serve", where=tmp_path)
    assert f"{tmp_path} is not the checkout: build/ is looked for here\n" in told
    assert f"directory: run `cd {ROOT}`" in told

    checkout = tmp_path / "checkout"
    (checkout / "build" / "bundle").mkdir(parents=True)
    (checkout / "build" / "bundle" / "manifest.json").touch()
    monkeypatch.setattr(machine, "ROOT", checkout)
    monkeypatch.chdir(tmp_path)
    found = machine.bundle(Path("build/bundle"))
    assert found.fix == (
        f"this is another directory than the checkout's, which has one: run `cd {checkout}`, "
        f"or name {checkout / 'build' / 'bundle'}"
    )
    monkeypatch.chdir(checkout)
    assert machine.bundle(Path("build/bundle")).state == "ok"


def test_7_no_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MIN_BYTES", 10**18)
    found = machine.disk(tmp_path)
    assert "MB are free" in found.found
    assert "free some, or name another place (--output and --cache, or TMPDIR)" in found.fix
    if not sandbox.namespaces():
        pytest.skip("no mount namespaces here")
    small = f'mount -t tmpfs -o size=64k tmpfs "{tmp_path}" && exec "$@"'
    build = [*PYTHON, "layer", "build", "--output", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    told = answer([*sandbox.namespaces(), "sh", "-c", small, "sh", *build])
    assert "No space left on device" in told
    assert "--cache" in told


def test_8_a_port_in_use() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        number = str(other.getsockname()[1])
        told = setup("--for", "serve", "--port", number, "--bundle", "layer")
    assert f"{number}: Address already in use" in told
    assert f"make serve PORT={int(number) + 1}" in told


def test_9_no_credentials(tmp_path: Path) -> None:
    told = answer([*PYTHON, "infra.ready", "-c", f"build_dir={packaged(tmp_path / 'build', 'function')}"])
    assert "no AWS credentials found: run `aws login`, `aws sso login` or `aws configure`, or set AWS_PROFILE" in told


@pytest.mark.parametrize("command", ["layer package --bundle nowhere", "devserver", "layer verify --bundle nowhere"])
def test_10_no_bundle(command: str, tmp_path: Path) -> None:
    told = answer([*PYTHON, *command.split()], tmp_path)
    assert "python -m layer build" in told or f"cd {ROOT}" in told
