"""examples/compose by the real Docker Compose: the packaged image and the local gateway, as the file's head says."""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bounds import MIN_COSINE
from tests.documents import marked
from tests.e2e.aws import ROOT
from tests.e2e.builds import Builds, manifest_sha256
from tests.e2e.engine import docker
from tests.e2e.stand_in import base_image
from tests.local.emulator import free_port
from tests.local.test_emulator import decoded, golden, vectors
from tests.patience import BUILD_SECONDS, SECONDS

FOLDER = Path("examples/compose")
KEY = "a-key-of-the-test"
[BLOCK] = marked(__file__, "examples/README.md")
COMMENTS = re.findall(r"^#   (.+)$", (ROOT / FOLDER / "compose.yaml").read_text(encoding="utf-8"), re.MULTILINE)


@dataclass(frozen=True)
class Composed:
    """A project that runs: where its gateway listens, the environment of its commands, and the build it is of."""

    port: int
    folder: Path
    environ: dict[str, str]
    build: Path

    def compose(self, *arguments: str, check: bool = True, **environ: str) -> "subprocess.CompletedProcess[str]":
        run = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        assert not check or run.returncode == 0, run.stdout + run.stderr
        return run

    def container(self, service: str) -> str:
        return self.compose("ps", "--quiet", service).stdout.strip()

    def settings(self, service: str) -> dict[str, Any]:
        [described] = json.loads(docker("inspect", self.container(service)))
        found: dict[str, Any] = described["HostConfig"]
        return found

    def addresses(self, service: str) -> dict[str, str]:
        """The service's networks, and its address in each."""
        [described] = json.loads(docker("inspect", self.container(service)))
        return {name: one["IPAddress"] for name, one in described["NetworkSettings"]["Networks"].items()}

    def reaches(self, address: str) -> bool:
        """Tell whether the function can connect to the gateway's port at an address."""
        program = f"import socket; socket.create_connection(('{address}', 8080), 3)"
        words = ["docker", "exec", self.container("function"), "python3", "-c", program]
        return subprocess.run(words, capture_output=True, check=False, timeout=SECONDS).returncode == 0

    def ask(self, path: str, body: Any = None, key: str | None = KEY) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.fixture(scope="module")
def composed(docker_engine: None, build: Builds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """Run the command of the file's head where the repository and a build are, and take all of it down in the end."""
    root, source, port = tmp_path_factory.mktemp("composed"), build("image", "int8"), free_port()
    for name in ("console", "devserver", str(FOLDER)):
        shutil.copytree(ROOT / name, root / name)
    (root / "build").symlink_to(source)
    plugins = root / "docker" / "cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-compose").symlink_to(Path(sys.executable).with_name("docker-compose"))
    environ = {
        **os.environ,
        "DOCKER_CONFIG": str(root / "docker"),
        "BASE": base_image("3.13"),
        "COMPOSE_PROJECT_NAME": f"openclip-test-{port}",
        "OPENCLIP_IMAGE": f"openclip-lambda-test:compose-{port}",
        "OPENCLIP_API_KEY": KEY,
        "OPENCLIP_LISTEN": f"127.0.0.1:{port}",
    }
    found = Composed(port, root / FOLDER, environ, source)
    try:
        [command] = [line for line in BLOCK.text.splitlines() if "docker compose up" in line]
        found.compose(*command.partition("docker compose ")[2].split())
        yield found
    finally:
        found.compose("down", "--rmi", "local", "--volumes", "--timeout", "1", check=False)
        docker("rmi", "--force", "--no-prune", environ["OPENCLIP_IMAGE"])


def test_it_is_healthy_and_serves_the_bundle_that_was_packaged(composed: Composed) -> None:
    status, report = composed.ask("/health")

    assert (status, report["status"]) == (200, "ok")
    assert report["manifest_sha256"] == manifest_sha256(composed.build)


def test_texts_and_images_come_out_as_open_clip_embeds_them(composed: Composed) -> None:
    expected = golden(composed.build / "bundle")
    images = [{"image": image} for image in expected["images"]]

    status, answer = composed.ask("/v1/embeddings", {"input": [*expected["texts"], *images]})

    assert status == 200, answer
    wanted = decoded(expected["text_embeddings"] + expected["image_embeddings"])
    assert (vectors(answer) * wanted).sum(axis=1).min() > MIN_COSINE["int8"]


def test_the_request_of_its_head_is_answered(composed: Composed) -> None:
    (start,) = [number for number, line in enumerate(COMMENTS) if line.startswith("curl ")]
    line = "\n".join(COMMENTS[start : start + 2]).replace("localhost:8080", f"127.0.0.1:{composed.port}")
    run = subprocess.run(["bash", "-c", line], env=composed.environ, capture_output=True, check=True, timeout=SECONDS)
    assert json.loads(run.stdout)["data"][0]["object"] == "embedding"


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("wrong", 403)])
def test_without_the_key_nothing_is_embedded(composed: Composed, key: str | None, status: int) -> None:
    assert composed.ask("/v1/embeddings", {"input": "a red circle"}, key)[0] == status


def test_without_a_key_of_ones_own_nothing_is_started(composed: Composed) -> None:
    environ = {name: value for name, value in composed.environ.items() if name != "OPENCLIP_API_KEY"}
    keyless = Composed(composed.port, composed.folder, environ, composed.build)
    run = keyless.compose("up", check=False)
    assert run.returncode != 0
    assert "a key of your own, which requests have to send" in run.stderr


def test_the_function_reaches_nobody_but_its_network(composed: Composed) -> None:
    networks = composed.addresses("gateway")
    inside, outside = (next(ip for name, ip in networks.items() if name.endswith(end)) for end in ("inside", "outside"))
    assert composed.reaches(inside)
    assert not composed.reaches(outside)  # of the same container, on the network that leads to the world
    [(name, _)] = composed.addresses("function").items()
    assert docker("network", "inspect", "--format", "{{.Internal}}", name).strip() == "true"
    listening = composed.settings("gateway")["PortBindings"]
    assert listening == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(composed.port)}]}
    assert not composed.settings("function")["PortBindings"]


@pytest.mark.parametrize("service", ["function", "gateway"])
def test_a_container_has_its_memory_no_privileges_and_a_file_system_to_read(composed: Composed, service: str) -> None:
    settings = composed.settings(service)

    assert settings["Memory"] == {"function": 3008, "gateway": 256}[service] * 2**20
    assert (settings["ReadonlyRootfs"], settings["CapDrop"]) == (True, ["ALL"])
    assert settings["SecurityOpt"] == ["no-new-privileges:true"]
    write = docker("exec", composed.container(service), "sh", "-c", "touch /var/task/x 2>&1; touch /tmp/x && echo $?")
    assert "Read-only file system" in write
    assert write.endswith("0\n")


def test_a_function_that_is_stopped_is_told_and_comes_back(composed: Composed) -> None:
    composed.compose("stop", "--timeout", "1", "function")
    assert composed.ask("/health") == (503, {"message": "Service Unavailable"})
    composed.compose("start", "function")
    deadline = time.monotonic() + SECONDS
    while (status := composed.ask("/v1/embeddings", {"input": "a red circle"})[0]) == 503:
        assert time.monotonic() < deadline, "the function that was started again is not reached"
        time.sleep(0.2)
    assert status == 200
