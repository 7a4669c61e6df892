"""`python -m infra.ready`: what a deployment needs of this machine, told before CDK spends half a minute on synthesis.

It takes the CDK CLI's arguments and heeds `--profile` and `-c build_dir=...` among them. Nothing is asked of AWS.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from console.parser import Parser
from console.run import run
from infra.errors import InfraError

DOCKER_SECONDS = 20


class NotReadyError(InfraError):
    """The machine lacks what a deployment needs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, and say nothing where all is there; returns the exit status."""
    return run(lambda: _command(arguments), (InfraError,))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m infra.ready", description=__doc__, allow_abbrev=False)
    parser.add_argument("--profile", help="of the AWS configuration")
    parser.add_argument("-c", "--context", action="append", default=[], help="as the CDK CLI takes it")
    options, _ = parser.parse_known_args(arguments)
    given = dict(pair.partition("=")[::2] for pair in options.context)
    check_credentials(options.profile)
    check_docker(Path(given.get("build_dir", "build")))


def check_credentials(profile: str | None) -> None:
    """Raise NotReadyError where no AWS credentials are found in any of the places that AWS's tools look in."""
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        found = Session(profile=profile).get_credentials()
    except BotoCoreError as error:
        raise NotReadyError(
            f"the AWS credentials cannot be read ({error}): check ~/.aws/config and AWS_PROFILE"
        ) from error
    if found is None:
        raise NotReadyError(
            "no AWS credentials found: run `aws configure` or `aws sso login`, or set AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )


def check_docker(build: Path) -> None:
    """Raise NotReadyError where the package is an image and no Docker engine answers here."""
    try:
        artifacts = json.loads((build / "package.json").read_text(encoding="utf-8"))["artefacts"]
        roles = {row["role"] for row in artifacts}
    except (OSError, ValueError, KeyError, TypeError):
        return  # the app says what is wrong with it
    if "image" not in roles:
        return
    fix = 'start it, or set package = "layer" in [target] of layer/models.toml, which needs none'
    if shutil.which("docker") is None:
        raise NotReadyError(f"the package is an image, and docker is not installed: install Docker and {fix}")
    try:
        asked = ["docker", "version", "--format", "{{.Server.Version}}"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=DOCKER_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotReadyError(f"the package is an image, and the Docker engine does not answer: {fix}") from error
    if done.returncode != 0:
        output = (done.stderr.strip() or done.stdout.strip()).partition("\n")[0]
        raise NotReadyError(f"the package is an image, and the Docker engine does not answer ({output}): {fix}")


if __name__ == "__main__":
    sys.exit(main())
