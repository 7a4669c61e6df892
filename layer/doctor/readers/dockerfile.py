"""What a Dockerfile's last stage sets: its base, its environment, and what it runs at build."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from layer.doctor.limits import UnreadableError
from layer.doctor.readers.shapes import as_strings, parse
from layer.findings.finding import Finding

OLD_BASE = re.compile(r"lambda/python:3\.(8|9|10|11)\b")
FETCHES = re.compile(r"snapshot_download|hf_hub_download|create_model|get_tokenizer|huggingface-cli|\bhf download")
HEREDOC = re.compile(r"<<-?[\"']?([A-Za-z_]\w{0,63})\b")
PLACES = {"HF_HOME", "HF_HUB_CACHE"}
MAX_WORDS = (
    4096  # bytes of an ENV that is read with its quotes, as Lambda's environment has at most; shlex is quadratic
)


@dataclass
class Dockerfile:
    """The last stage; `environ` is what ENV sets by its end, `fetches` each RUN that fetches a model.

    A fetch is its command, and whether the environment says at that point where the cache is.
    """

    base: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    fetches: list[tuple[str, bool]] = field(default_factory=list)


def read_dockerfile(text: str) -> Dockerfile:
    """Read the last stage of a Dockerfile; what builds earlier stages is not looked at."""
    found = Dockerfile()
    for instruction in _instructions(text):
        word, _, rest = instruction.partition(" ")
        rest = rest.strip()
        if word.upper() == "FROM":
            names = [name for name in rest.split() if not name.startswith("--")]
            found = Dockerfile(base=names[0] if names else "")
        elif word.upper() == "ENV":
            found.environ.update(_assignments(rest))
        elif word.upper() == "RUN" and FETCHES.search(command := _command(rest)):
            found.fetches.append((command, any(place in found.environ for place in PLACES)))
    return found


def dockerfile_problems(found: Dockerfile, where: str) -> Iterator[Finding]:
    """Name what goes wrong in the build itself."""
    if OLD_BASE.search(found.base):
        yield Finding("old-base-image", where, found.base)
    for command, told_where in found.fetches:
        if not told_where:
            yield Finding("cache-in-roots-home", where, "the model is fetched into /root/.cache at build")
        if "revision" not in command:
            yield Finding("unpinned-download", where)


def _instructions(text: str) -> Iterator[str]:
    """Yield each instruction as one line: its continuations joined, and a here-document with its body."""
    lines = iter(text.splitlines())
    for line in lines:
        parts = [line.strip()]
        if not parts[0] or parts[0].startswith("#"):
            continue
        while parts[-1].endswith("\\"):
            parts[-1] = parts[-1][:-1]
            following = next((line.strip() for line in lines if not line.lstrip().startswith("#")), None)
            if following is None:
                break
            parts.append(following)
        instruction = " ".join(parts)
        if instruction.partition(" ")[0].upper() in ("RUN", "COPY", "ADD"):
            instruction += "".join(_bodies(instruction, lines))
        yield instruction


def _bodies(instruction: str, lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines of an instruction's here-documents, which are not instructions themselves."""
    for word in HEREDOC.findall(instruction):
        for line in lines:
            if line.strip() == word:
                break
            yield f"\n{line}"


def _assignments(rest: str) -> dict[str, str]:
    """Read `ENV a=b c="d e"`, and the old form `ENV a b`."""
    if "=" not in rest.split(" ", 1)[0]:
        name, _, value = rest.partition(" ")
        return {name: value.strip()}
    try:
        words = shlex.split(rest) if len(rest) <= MAX_WORDS else rest.split()
    except ValueError:  # a quote without its twin: Docker would refuse it
        words = rest.split()
    return dict(word.partition("=")[::2] for word in words if "=" in word)


def _command(rest: str) -> str:
    if rest.startswith("["):
        try:
            return " ".join(as_strings(parse(rest, "RUN")))
        except UnreadableError:
            return rest
    return rest
