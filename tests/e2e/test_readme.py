"""A reader follows README.zh-CN.md alone, from a fresh copy to a deployed API that they call: its lines, in its order.

README.md has the same blocks in the same order, which the first test shows; so this is a run of both.
"""

import json
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from layer.demo.captions import caption
from layer.demo.tour import SCENES
from tests import transcript
from tests.documents import marked
from tests.e2e import reader
from tests.e2e.aws import ROOT, Aws
from tests.e2e.builds import manifest_sha256
from tests.e2e.engine import docker
from tests.e2e.reader import FENCE, PROGRAMS, Command, Reader, commands
from tests.local.emulator import free_port
from tests.patience import SECONDS

pytestmark = pytest.mark.timeout(3000)  # of a page's commands, which have 600 each
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")}
PAGE = commands(PAGES["README.zh-CN.md"])
LAST = "make destroy"  # the page's last word on deploying comes before it shows what the client printed until then
# Lines that are not run here, and who runs them.
ELSEWHERE = {
    "make test": "CI, and this test in it",
    "python -m handler.batch build/demo-collection": "`make demo`, which prints this line",
    "python -m handler.search rebuild": "`make demo`, which prints this line",
    "python -m layer build --models models.toml --from model_cache": "tests/offline/test_page_prepared.py",
    "HF_HUB_OFFLINE=1 python -m layer build": "tests/offline/test_page_prepared.py",
    "openclip-lambda batch": "tests/e2e/test_batch.py, on a stack with a bucket",
}
OUTPUTS = {"ApiKeySecretArn", "Curl", "FunctionName", "Url"}
WORKFLOW = ROOT / "examples" / "github-action" / "deploy.yml"
GATE = '\n[evaluate]\npairs = "../evaluation/captions.csv"\n\n[gate]\nmax_recall_loss = 0.002\n'  # as its head has it
MODELS = '[target]\npackage = "layer"\n\n[[model]]\nname = "ViT-B-32"\npretrained = "laion2b_s34b_b79k"\n'


def is_elsewhere(line: str) -> bool:
    return any(line.startswith(start) for start in ELSEWHERE)


def test_both_pages_have_the_same_commands_in_the_same_order() -> None:
    assert commands(PAGES["README.md"]) == PAGE
    assert len(PAGE) > 30


@pytest.mark.parametrize("name", PAGES)
def test_no_command_of_the_page_is_taken_for_output(name: str) -> None:
    found = {line for line, _ in commands(PAGES[name])}
    for block in FENCE.finditer(PAGES[name]):
        for line in block["text"].replace("\\\n", " ").splitlines():
            if block["language"] in ("", "sh", "bash", "console") and line.removeprefix("$ ").split(" ")[0] in PROGRAMS:
                bare = " ".join(re.sub(r"\s#\s.*$", "", line.removeprefix("$ ")).split())
                assert bare in found, line


def test_what_is_run_elsewhere_is_on_the_page() -> None:
    lines = [line for line, _ in PAGE]
    assert [start for start in ELSEWHERE if not any(line.startswith(start) for line in lines)] == []


@pytest.fixture(scope="module")
def read(account: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Hold a reader with a fresh copy; in the end whatever they left is destroyed."""
    somebody = reader.arrive(tmp_path_factory.mktemp("reader"), account)
    try:
        yield somebody
    finally:
        scratch = somebody.folder / "build" / "reader"
        if (scratch / "outputs.json").exists() and "openclip" in stacks(account):
            somebody.type(LAST, {})
        if (scratch / "images.json").exists():
            for image in json.loads((scratch / "images.json").read_text()):
                docker("rmi", "--force", "--no-prune", image)


def stacks(account: Aws) -> list[str]:
    found = account.client("cloudformation").describe_stacks()["Stacks"]
    return [item["StackName"] for item in found if item["StackStatus"] != "DELETE_COMPLETE"]


def outputs(read: Reader) -> dict[str, str]:
    found: dict[str, str] = json.loads((read.folder / "build" / "reader" / "outputs.json").read_text())["openclip"]
    return found


def deployed(read: Reader) -> dict[str, str]:
    """What the reader knows after `make deploy`: its address, and the key that the secret holds."""
    told = outputs(read)
    store = read.aws.client("secretsmanager")
    key = store.get_secret_value(SecretId=told["ApiKeySecretArn"])["SecretString"]
    return {"<Url>": told["Url"], "<key>": key}


def own_files(read: Reader) -> None:
    """Put what the page takes for the reader's own: captions of images, and a models.toml."""
    rows = ["image,caption"]
    for number, scene in enumerate(SCENES, 1):
        (image,) = (read.folder / "build" / "demo-images").glob(f"{number}-*.png")
        rows.append(f"{image.relative_to(read.folder)},{caption(scene, 'en')}")
    (read.folder / "captions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (read.folder / "models.toml").write_text(MODELS, encoding="utf-8")


def test_from_nothing_to_a_deployed_api_that_is_called_and_gone(read: Reader) -> None:
    said: dict[str, str] = {}
    known = {"<image or cache>": "build/bundle"}
    environ: dict[str, str] = {}
    for command in PAGE:
        if is_elsewhere(command.line) or command.line == LAST or "localhost:8080" in command.line:
            continue
        if command.shown and "client classify" in command.line:
            environ = {"OPENCLIP_URL": known["<Url>"], "OPENCLIP_API_KEY": known["<key>"]}
        started = time.perf_counter()
        said[command.line] = answer(read, command, known, environ)
        print(f"{time.perf_counter() - started:6.1f} s  {command.line}")
        if command.line == "make demo":
            own_files(read)
        if command.line == "make deploy":
            known |= deployed(read)
        if command.line.startswith("pipx"):
            read.resolve_in_pipx()
    assert "14 of 14 captions find their image" in said["make demo"]
    assert_called(read, said)
    said[LAST] = read.type(LAST, {})
    assert_as_shown(said, known)
    assert "openclip" not in stacks(read.aws)


def answer(read: Reader, command: Command, known: dict[str, str], environ: dict[str, str]) -> str:
    """Run a line of the page. What it shows of a wrong key is an error, and its status too."""
    if "--api-key wrong" in command.line:
        return read.type(f"! {command.line}", known, environ)
    return read.type(command.line, known, environ)


def assert_called(read: Reader, said: dict[str, str]) -> None:
    vectors = np.load(read.folder / "images.npy")
    assert vectors.shape == (len(SCENES), 64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert "1-red-circle.png" in (read.folder / "found.html").read_text(encoding="utf-8")
    searched = next(text for line, text in said.items() if line.startswith("openclip-lambda search"))
    assert searched.index("1-red-circle.png") < searched.index("7-")
    right, wrong = (text for line, text in said.items() if "client classify" in line)
    scores = {Path(row["name"]).name: row["scores"] for row in map(json.loads, right.splitlines()[: len(SCENES)])}
    assert scores["1-red-circle.png"]["a red circle"] > 0.9
    assert "answered 403" in wrong
    # The printed curl needs the AWS CLI for the key alone, which is not installed here.
    key = deployed(read)["<key>"]
    asked = read.type(f"aws() {{ echo {key}; }}\n{outputs(read)['Curl']}", {})
    assert len(json.loads(asked)["data"][0]["embedding"]) == 64
    assert set(outputs(read)) == OUTPUTS


def assert_as_shown(said: dict[str, str], known: dict[str, str]) -> None:
    """Compare what the pages show below their commands; what else is printed between these lines is not looked at."""
    for block in [*marked(__file__, "README.md"), *marked(__file__, "docs/first-run.md")]:
        text = block.text
        typed = commands(f"```\n{text}```\n")
        assert [line for line, _ in typed if line not in said and not is_run_apart(line)] == []
        for line, shown in transcript.commands(text):
            lines = [
                one for one in shown.splitlines() if not one.startswith("note: ")
            ]  # what the registry says that day
            gaps = "...\n" + "".join(f"{one}\n...\n" for one in lines)
            url = re.search(r"https?://\S+?(?=/v1)", shown)
            found = transcript.difference(gaps, said[line], {known["<Url>"]: url[0]} if url else {})
            assert not found, f"{block.page}:{block.line}\n$ {line}\n{found}"
        if not typed and "Outputs:" in text:
            assert set(re.findall(r"^openclip\.(\w+) = ", text, re.MULTILINE)) == OUTPUTS
        elif not typed:
            assert "openclip: destroyed" in text
            assert "openclip: destroyed" in said[LAST]


def is_run_apart(line: str) -> bool:
    """Tell whether another test runs a line: here that of the server, else what ELSEWHERE names."""
    return "localhost:8080" in line or line == "make serve" or is_elsewhere(line)


def test_the_server_of_the_page_answers_its_requests(read: Reader) -> None:
    lines = [line for line, _ in PAGE if "localhost:8080" in line]
    assert len(lines) == 2
    port = free_port()
    with (read.home / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            ["make", "serve", f"PORT={port}"], cwd=read.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            wait_for(port, server)
            found = [read.type(line.replace("localhost:8080", f"127.0.0.1:{port}"), {}) for line in lines]
        finally:
            server.terminate()
            server.wait(SECONDS)
    assert [len(json.loads(text)["data"][0]["embedding"]) for text in found] == [64, 64]
    with pytest.raises(ConnectionRefusedError):  # what make started has ended with it
        socket.create_connection(("127.0.0.1", port), SECONDS).close()


def test_the_workflow_that_deploys_builds_evaluates_and_packages(read: Reader) -> None:
    [job] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"].values()
    lines = [step["run"] for step in job["steps"] if "run" in step]
    assert len(lines) == 5
    assert [line for line in GATE.splitlines() if line and f"#   {line}\n" not in WORKFLOW.read_text("utf-8")] == []
    (read.folder / "evaluation").mkdir()
    captions = (
        (read.folder / "captions.csv").read_text(encoding="utf-8").replace("build/demo-images", "../build/demo-images")
    )
    (read.folder / "evaluation" / "captions.csv").write_text(captions, encoding="utf-8")
    with (read.folder / "layer" / "models.toml").open("a", encoding="utf-8") as models:
        models.write(GATE)
    summary = {"GITHUB_STEP_SUMMARY": str(read.home / "summary.txt"), "TORCH_INDEX_URL": ""}

    for line in lines[:-1]:  # `make deploy`, as the page has it, but for a word that nobody is asked
        read.type(line, {}, summary)

    assert "mean recall" in (read.home / "summary.txt").read_text()
    package = json.loads((read.folder / "build" / "package.json").read_text())
    assert package["manifest_sha256"] == manifest_sha256(read.folder / "build")


def wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=SECONDS).close()
        except OSError:  # it listens before its model is loaded, and answers after
            time.sleep(0.2)
        else:
            return
    pytest.fail("`make serve` does not answer")
