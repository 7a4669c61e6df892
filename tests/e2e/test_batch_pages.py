"""The commands that pages show of a bucket, typed at a stack that was packaged and deployed as they say."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.documents import marked
from tests.e2e.collection import SEARCHED, SOURCE, settings
from tests.e2e.deployment import Deployment
from tests.shell import Shell
from tests.transcript import commands, difference

pytestmark = pytest.mark.parametrize("batch", SEARCHED, indirect=True)
[README] = marked(__file__, "README.md")
[CLIENT] = marked(__file__, "docs/client.md")
COLLECTIONS = marked(__file__, "docs/collections.md")
PART = f"s3://{SOURCE}/in/02"  # ten images


def typed(line: str, batch: Deployment, run: str) -> str:
    """Return a command of a page with the names of this stack; test_batch.py may have had a run named "first"."""
    line = line.replace("s3://my-photos/2026/", PART).replace("--run first", f"--run {run}")
    return re.sub(r"--stack \S+", f"--stack {batch.name}", line)


@pytest.fixture
def shell(batch: Deployment, tmp_path: Path) -> Shell:
    return Shell(tmp_path, batch.aws.environ)


def wait(shell: Shell, batch: Deployment, *run: str) -> None:
    """Wait until a run, or the latest, is over."""
    shell.run(" ".join(("openclip-lambda batch status --wait --stack", batch.name, *run)), 0, 3)


def test_a_run_is_told_as_the_client_s_page_shows(shell: Shell, batch: Deployment) -> None:
    batch.aws.client("s3").delete_object(Bucket=SOURCE, Key="in/new-broken.png")  # test_batch.py leaves it
    names = {"run page": "run first", batch.outputs["BatchBucket"]: "batch-image-batchoutput2b27d97f-dd4524580bcbb"}
    for line, shown in commands(CLIENT.text):
        if " status " in line:
            wait(shell, batch, "--run page")
        printed = shell.run(typed(line, batch, "page"), 0, 3)
        assert not (found := difference(shown, printed, names)), f"$ {line}\n{found}"
    wait(shell, batch, "--run page")


def test_the_commands_of_the_readme_are_answered(shell: Shell, batch: Deployment) -> None:
    lines = [line.partition("#")[0].strip() for line in README.text.splitlines()]
    estimate, start, status = (shell.run(typed(line, batch, "readme"), 0, 3) for line in lines)
    assert " in all " in estimate
    assert " started" in start
    assert re.match(r"run \S+: (RUNNING|SUCCEEDED)", status)
    wait(shell, batch)


@pytest.mark.parametrize("number", range(len(COLLECTIONS)))
def test_a_bucket_is_deployed_and_followed_as_the_page_says(shell: Shell, batch: Deployment, number: int) -> None:
    (package, _), (deploy, _), *rest = commands(COLLECTIONS[number].text)
    extras = json.loads((batch.scratch / "build" / "package.json").read_text())["extras"]
    assert set(re.findall(r"--with (\w+)", package)) <= set(extras)
    [given] = [word.removeprefix("ARGS=") for word in shlex.split(deploy) if word.startswith("ARGS=")]
    asked = dict(word.split("=") for word in shlex.split(given) if word != "-c")
    there = {**settings(batch.shape), "batch_source": "my-photos/2026/"}
    assert {key: value.replace(SOURCE, "my-photos") for key, value in there.items()}.items() >= asked.items()
    for line, shown in rest:
        if "infra.bucket_events" in line:  # as if it had never been
            batch.aws.client("s3").put_bucket_notification_configuration(Bucket=SOURCE, NotificationConfiguration={})
        known = {"<Url>": batch.outputs["Url"], "<api-key>": batch.key()}
        command = typed(line, batch, f"page-{number}").replace("bucket_events my-photos", f"bucket_events {SOURCE}")
        for name, value in known.items():
            command = command.replace(name, value)
        printed = shell.run(command, 0, 3)
        assert not (found := shown and difference(shown, printed, {SOURCE: "my-photos"})), f"$ {line}\n{found}"
        if " start " in line:
            wait(shell, batch, f"--run page-{number}")
        if line.startswith("curl"):
            assert len(json.loads(printed)["data"]) == 5
