"""The pin of a base image, against a real registry: what Docker pushes, what we ask, what Docker builds on."""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from layer.package import base_image, image
from tests.e2e.engine import EngineError, docker
from tests.local.emulator import free_port
from tests.patience import SECONDS

CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a registry on this machine; its host and port, as Docker names images there."""
    if shutil.which("docker-registry") is None:
        raise EngineError("docker-registry is needed: as root on Debian, `apt-get install docker-registry`")
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    config = folder / "config.yml"
    config.write_text(CONFIG.format(root=folder / "images", port=port))
    server = subprocess.Popen(["docker-registry", "serve", str(config)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}/v2/")
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(SECONDS)


def test_an_image_is_built_on_what_the_registry_had_when_it_was_packaged(
    registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = base_image.ask
    monkeypatch.setattr(base_image, "REGISTRY", registry)
    monkeypatch.setattr(base_image, "ask", lambda _, *image: ask(f"http://{registry}", *image))  # it has no TLS
    name = base_image.tag("3.13")
    pushed = _push(name, "the release of today", tmp_path / "one")
    base_image.base.cache_clear()

    image.write_dockerfile(tmp_path, "3.13")
    row = image.row("image", tmp_path, "3.13")
    assert _push(name, "the release of tomorrow", tmp_path / "two") != pushed

    assert row["base"] == {"image": name, "digest": pushed}
    base = next(line for line in (tmp_path / "Dockerfile").read_text().splitlines() if line.startswith("ARG BASE="))
    assert _content(base.removeprefix("ARG BASE="), tmp_path / "three") == "the release of today"
    assert _content(name, tmp_path / "four") == "the release of tomorrow"
    base_image.base.cache_clear()


def _push(name: str, content: str, context: Path) -> str:
    """Push an image that holds one file; returns the digest that Docker says the registry gave it."""
    context.mkdir()
    (context / "release").write_text(content)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY release /release\n")
    docker("build", "--quiet", "--tag", name, str(context))
    docker("push", "--quiet", name)
    digests = json.loads(docker("image", "inspect", "--format", "{{json .RepoDigests}}", name))
    docker("rmi", name)
    return str(next(one for one in digests if one.startswith(name.rpartition(":")[0]))).partition("@")[2]


def _content(base: str, context: Path) -> str:
    """Build an image on a base, and return the file that the base brought."""
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {base}\nCMD x\n")
    built = docker("build", "--quiet", str(context)).strip()
    container = docker("create", built).strip()
    try:
        docker("cp", f"{container}:/release", str(context / "found"))
    finally:
        docker("rm", container)
        docker("rmi", built)
    return (context / "found").read_text()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=SECONDS):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")
