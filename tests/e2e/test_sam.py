"""The SAM CLI on the synthesized template, both shapes: build, invoke, and the API on this machine."""

import json
import os
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bounds import MIN_COSINE
from tests.documents import marked
from tests.e2e.aws import REGION, ROOT, RUNTIME, tagged
from tests.e2e.builds import Builds, manifest_sha256
from tests.e2e.engine import docker
from tests.e2e.stand_in import base_image
from tests.local.emulator import free_port
from tests.local.test_emulator import decoded, golden, vectors
from tests.patience import BUILD_SECONDS, SECONDS

SAM = ROOT / "build" / "sam-cli" / "bin" / "sam"
FUNCTION = "OpenClipFunctionE28014FB"  # as docs/deploy.md names it
EVENTS = ROOT / "tests" / "events"
STAND_IN = "label=org.openclip-lambda.stand-in"
ENVIRON = {
    **os.environ,
    "AWS_DEFAULT_REGION": REGION,
    "SAM_CLI_TELEMETRY": "0",
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
}


def typed(command: str) -> list[str]:
    """Return what stands behind a command in docs/deploy.md: its words."""
    [page] = marked(__file__, "docs/deploy.md")
    lines = [part.strip() for line in page.text.splitlines() for part in line.partition("#")[0].split("&&")]
    [found] = [line for line in lines if f"{command} " in f"{line} "]
    return shlex.split(found.partition(command)[2])


@dataclass(frozen=True)
class Built:
    """What `sam build` made of a template: its own template, and the build that all came from."""

    template: Path
    build: Path


@pytest.fixture(scope="module", params=["image", "layer"])
def built(
    request: pytest.FixtureRequest, docker_engine: None, build: Builds, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    """Synthesize and build as the README says; the images that SAM makes go in the end."""
    scratch, source = tmp_path_factory.mktemp(f"sam-{request.param}"), build(request.param, "int8")
    with ExitStack() as stack:
        for name in (RUNTIME, f"{RUNTIME}-x86_64"):  # the second is what SAM runs zip functions in
            stack.enter_context(tagged(base_image("3.13"), name))
        out = scratch / "cdk.out"
        context = ("-c", f"build_dir={source}")
        run(ROOT / "node_modules" / ".bin" / "cdk", "synth", *typed("cdk synth"), "--quiet", "--output", out, *context)
        run(SAM, "build", *typed("sam build"), "--build-dir", scratch / "built", cwd=out)
        try:
            yield Built(scratch / "built" / "template.yaml", source)
        finally:
            for reference in ("samcli/lambda-python", FUNCTION.lower()):
                # By their names: a deployed function may run the same image under another.
                named = ("--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={reference}")
                for image in docker("images", "--filter", STAND_IN, *named).split():
                    docker("rmi", "--force", image)


def run(command: Path, *arguments: object, cwd: Path = ROOT) -> str:
    """Run one command; returns its standard output."""
    words = [str(command), *map(str, arguments)]
    done = subprocess.run(
        words,
        cwd=cwd,
        env=ENVIRON,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def invoke(built: Built, event: str) -> Any:
    """Send one of tests/events with `sam local invoke`; the response is the last line of its output."""
    arguments = ("--template", built.template, "--event", EVENTS / event, "--skip-pull-image")
    return json.loads(run(SAM, "local", "invoke", FUNCTION, *arguments).strip().splitlines()[-1])


def test_an_event_of_the_api_is_answered_by_the_bundle_that_was_packaged(built: Built) -> None:
    function, flag, path = typed("sam local invoke")
    assert (function, flag) == (FUNCTION, "-e")
    answer = invoke(built, Path(path).name)

    assert answer["statusCode"] == 200, answer
    report = json.loads(answer["body"])
    assert report["status"] == "ok"
    assert report["manifest_sha256"] == manifest_sha256(built.build)


def test_a_direct_invoke_is_answered_without_an_envelope(built: Built) -> None:
    answer = invoke(built, "embeddings.json")

    assert [len(item["embedding"]) for item in answer["data"]] == [64, 64]


def test_the_api_on_this_machine_embeds_as_open_clip_does(built: Built, tmp_path: Path) -> None:
    expected, port = golden(built.build / "bundle"), free_port()
    words = [str(SAM), "local", "start-api", *typed("sam local start-api")]
    words += ["--template", str(built.template), "--skip-pull-image"]
    with (tmp_path / "sam.log").open("wb") as log:
        server = subprocess.Popen(
            [*words, "--port", str(port), "--warm-containers", "LAZY"],
            env=ENVIRON, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            answer = ask(port, {"input": expected["texts"]}, server, tmp_path / "sam.log")
        finally:
            server.terminate()
            server.wait(SECONDS)

    assert (vectors(answer) * decoded(expected["text_embeddings"])).sum(axis=1).min() > MIN_COSINE["int8"]


def ask(port: int, body: Any, server: "subprocess.Popen[bytes]", log: Path) -> Any:
    """POST to the local API as soon as it listens."""
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/embeddings", json.dumps(body).encode(), headers)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            pytest.fail(f"{error.code} {error.read()!r}\n{log.read_text()[-3000:]}")
        except OSError:  # of urllib, or of a connection that it has already
            time.sleep(0.3)
    pytest.fail(f"sam local start-api does not listen:\n{log.read_text()[-3000:]}")
