"""The `cdk` of a reader (reader.py): the real CLI, run in the reader's copy, and what the emulator needs around it.

Nobody is there to confirm what CDK asks, so it is told yes. Images are built under their names in ECR, since the
emulator takes them from Docker, and what deployment.py takes out of a template is taken out.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e import aws
from tests.e2e.aws import Aws
from tests.e2e.deployment import Deployment, adapt

SCRATCH = Path("build/reader")  # in the reader's copy
STACK = "openclip"


def main() -> int:
    """Run one cdk command; returns its exit status."""
    command, *arguments = sys.argv[1:]
    account = Aws(urlsplit(os.environ["AWS_ENDPOINT_URL"]).port or 0, dict(os.environ))
    return {"bootstrap": _bootstrap, "deploy": _deploy, "destroy": _destroy}[command](account, arguments)


def _cdk(*arguments: str) -> int:
    return subprocess.run([os.environ["READER_CDK"], *arguments], check=False).returncode


def _bootstrap(account: Aws, arguments: list[str]) -> int:
    status = _cdk("bootstrap", *arguments)
    aws.repair(account)
    return status


def _deploy(account: Aws, arguments: list[str]) -> int:
    out = SCRATCH / "cdk.out"
    if status := _cdk("synth", "--quiet", "--output", str(out)):
        return status
    adapt(out / f"{STACK}.template.json")
    deployment = Deployment(account, STACK, "image", SCRATCH)
    deployment.push(out)
    (SCRATCH / "images.json").write_text(json.dumps(deployment.images))
    results = SCRATCH / "outputs.json"
    ends = ("--app", str(out), "--require-approval", "never", "--outputs-file", str(results))
    if status := _cdk("deploy", *arguments, *ends):
        return status
    deployment.outputs = json.loads(results.read_text())[STACK]
    deployment.name_the_secret()
    return 0


def _destroy(account: Aws, arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory():
        status = _cdk("destroy", *arguments, "--app", str(SCRATCH / "cdk.out"), "--force")
    return status


if __name__ == "__main__":
    sys.exit(main())
