"""What a Dockerfile's last stage sets: its base, its environment, its user, and what it runs at build."""

import json
import re
import shlex
from dataclasses import dataclass, field

from layer.doctor.finding import Finding

OLD_BASE = re.compile(r"lambda/python:3\.(8|9|10|11)\b")
FETCHES = re.compile(r"snapshot_download|hf_hub_download|create_model|get_tokenizer|huggingface-cli|\bhf download")


@dataclass
class Dockerfile:
    """The last stage; `environ` is what ENV sets by its end, `runs` each RUN with the environment at that point."""

    base: str = ""
    user: str = "root"
    environ: dict[str, str] = field(default_factory=dict)
    runs: list[tuple[str, dict[str, str]]] = field(default_factory=list)


def read_dockerfile(text: str) -> Dockerfile:
    """Read the last stage of a Dockerfile; what builds earlier stages is not looked at."""
    found = Dockerfile()
    joined = re.sub(r"\\\r?\n(?:[ \t]*#.*\n)*", " ", text)
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word.upper() == "FROM":
            found = Dockerfile(base=rest.split()[0] if rest.split() else "")
        elif word.upper() == "ENV":
            found.environ |= _assignments(rest.strip())
        elif word.upper() == "USER":
            found.user = rest.strip()
        elif word.upper() == "RUN":
            found.runs.append((_command(rest.strip()), dict(found.environ)))
    return found


def dockerfile_problems(found: Dockerfile, where: str) -> list[Finding]:
    """Name what goes wrong in the build itself."""
    problems = []
    if OLD_BASE.search(found.base):
        problems.append(
            Finding(
                "old-base-image",
                where,
                f"{found.base} is Amazon Linux 2, whose glibc 2.26 today's torch and onnxruntime wheels do not run on",
                "take public.ecr.aws/lambda/python:3.13",
            )
        )
    for command, environ in found.runs:
        if not FETCHES.search(command):
            continue
        if not {"HF_HOME", "HF_HUB_CACHE"} & set(environ):
            problems.append(
                Finding(
                    "cache-in-roots-home",
                    where,
                    "the model is fetched into /root/.cache at build; Lambda runs as another user, with another home",
                    "set ENV HF_HOME=/opt/hf (or HF_HUB_CACHE) before the RUN that fetches, and keep it for run time",
                )
            )
        if "revision" not in command:
            problems.append(
                Finding(
                    "unpinned-download",
                    where,
                    "the model is fetched at whatever commit its branch has that day: two builds can differ",
                    "pass revision=<commit> to what fetches",
                    fatal=False,
                )
            )
    return problems


def _assignments(rest: str) -> dict[str, str]:
    """Read `ENV a=b c="d e"`, and the old form `ENV a b`."""
    if "=" not in rest.split(" ", 1)[0]:
        name, _, value = rest.partition(" ")
        return {name: value.strip()}
    try:
        words = shlex.split(rest)
    except ValueError:  # a quote without its twin: Docker would refuse it
        words = rest.split()
    return dict(word.partition("=")[::2] for word in words if "=" in word)


def _command(rest: str) -> str:
    if rest.startswith("["):
        try:
            return " ".join(json.loads(rest))
        except ValueError:
            return rest
    return rest
