"""What `make deploy` says of the program that builds images, and of its engine.

AWS CDK v2 Developer Guide, "Build and deploy container image assets in CDK apps": CDK_DOCKER names another program.
"""

import json
import os
from pathlib import Path

import pytest

from console.setup import machine
from console.setup.check import MISSING, OK

# Docker's own words (28.2) to a user who may not open its socket.
DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "
    '"http://%2Fvar%2Frun%2Fdocker.sock/v1.50/version": dial unix /var/run/docker.sock: connect: permission denied'
)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image's package, on a machine whose programs are those of `program`."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("CDK_DOCKER", raising=False)
    (tmp_path / "package.json").write_text(json.dumps({"artefacts": [{"role": "image"}]}))
    return tmp_path


def program(build: Path, name: str, script: str) -> None:
    path = build / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("client", ["finch", "podman"])
def test_another_program_than_docker_is_asked_where_cdk_calls_that(
    build: Path, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of their versions finch has no such field: its engine's is a list of components."""
    program(build, client, '[ "$1" = info ] || { echo "no field Server.Version" >&2; exit 1; }')
    monkeypatch.setenv("CDK_DOCKER", client)
    assert machine.docker(build, 5).state == OK

    program(build, client, "echo 'cannot connect to the machine' >&2; exit 125")
    found = machine.docker(build, 5)
    assert (found.state, found.found) == (
        MISSING, f"the {client} engine does not answer (cannot connect to the machine)"
    )  # fmt: skip

    (build / "bin" / client).unlink()
    program(build, "docker", "echo 28.2.2")  # which CDK does not call
    found = machine.docker(build, 5)
    assert (found.state, found.found) == (MISSING, f"the package has an image, and {client} is not installed")
    assert found.fix.startswith(f"install {client} and start it, or ")


def test_docker_is_asked_for_its_engine(build: Path) -> None:
    program(build, "docker", 'echo "28.2.2"')
    assert (machine.docker(build, 5).state, machine.docker(build, 5).found) == (OK, "engine 28.2.2")

    program(build, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    found = machine.docker(build, 5)
    assert found.found == "the Docker engine does not answer (Cannot connect to the Docker daemon)"
    assert found.fix.startswith("start it, or set package")


def test_a_user_who_may_not_ask_the_engine_is_not_told_to_start_it(build: Path) -> None:
    program(build, "docker", f"echo '{DENIED}' >&2; exit 1")

    found = machine.docker(build, 5)
    assert (found.state, found.found) == (MISSING, f"the Docker engine does not answer ({DENIED})")
    assert "start it" not in found.fix
    assert "usermod -aG docker $USER" in found.fix


def test_measure_removes_its_images_by_the_program_that_built_them(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.measure import destroy

    log = build / "log"
    program(build, "finch", f'echo "$@" >> {log}; [ "$1" = image ] && echo repository:openclip-measure-0a0a0a0a-1')
    monkeypatch.setenv("CDK_DOCKER", "finch")
    monkeypatch.setenv("PATH", f"{build / 'bin'}{os.pathsep}{os.defpath}")

    destroy._remove_local_images("openclip-measure-0a0a0a0a")

    assert log.read_text().splitlines()[-1] == "rmi --force --no-prune repository:openclip-measure-0a0a0a0a-1"
