"""What a Dockerfile's last stage sets: its base, its environment, and what it runs at build."""

import re
import shlex
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from layer.doctor.checks.environment import cache_place
from layer.doctor.limits import UnreadableError
from layer.doctor.readers.shapes import as_strings, parse
from layer.findings.finding import Finding

OLD_BASE = re.compile(r"(lambda/|aws-lambda-)python:3\.([6-9]|10|11)\b")
FETCHES = re.compile(r"snapshot_download|hf_hub_download|create_model|get_tokenizer|huggingface-cli|\bhf download")
HEREDOC = re.compile(r"<<-?[\"']?([A-Za-z_]\w{0,63})\b")
DIRECTORY = re.compile(r"(cache|local)[_-]dir\b")  # where the command itself says that it fetches to
INLINE = re.compile(r"(?<!\S)(HF_HOME|HF_HUB_CACHE|HUGGINGFACE_HUB_CACHE|XDG_CACHE_HOME|HOME)=([^\s;&|]+)")
VARIABLE = re.compile(r"(?<!\\)\$(?:(\w+)|\{(\w+)(?::?-([^{}]*))?\})")
MAX_WORDS = (
    4096  # bytes of an ENV that is read with its quotes, as Lambda's environment has at most; shlex is quadratic
)
MAX_VALUE = 256  # bytes of a variable that is put in where another names it; of a path, or of a flag


@dataclass
class Fetch:
    """A RUN that fetches a model: the directory of the cache, None where the command names one of another kind.

    `inline` is the variable by which the command itself says so, which is gone at run time.
    """

    command: str
    place: str | None
    inline: str = ""


@dataclass
class Dockerfile:
    """The last stage; `environ` is what ENV sets by its end."""

    base: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    fetches: list[Fetch] = field(default_factory=list)


@dataclass
class _Stage:
    base: str
    parent: "_Stage | None"
    instructions: list[tuple[str, str]] = field(default_factory=list)


def read_dockerfile(text: str) -> Dockerfile:
    """Read the last stage of a Dockerfile, with the stages that it is built on; no other stage is looked at."""
    before = _Stage("", None)  # of the first FROM: ARG alone
    stage, named = before, dict[str, _Stage]()
    for instruction in _instructions(text):
        word, _, rest = instruction.partition(" ")
        word, rest = word.upper(), rest.strip()
        if word != "FROM":
            stage.instructions.append((word, rest))
            continue
        names = [name for name in rest.split() if not name.startswith("--")]
        base = names[0] if names else ""
        stage = _Stage(base, named.get(base.lower()))
        if len(names) > 2 and names[1].upper() == "AS":
            named[names[2].lower()] = stage
    return _executed(stage, dict(_argument(rest) for word, rest in before.instructions if word == "ARG"))


def _executed(stage: _Stage, arguments: dict[str, str]) -> Dockerfile:
    """Set what a stage sets, after those that it is built on. `arguments` are the ARGs before the first FROM."""
    chain = [stage]
    while chain[-1].parent:
        chain.append(chain[-1].parent)
    found = Dockerfile(_expanded(chain[-1].base, arguments))
    declared: dict[str, str] = {}
    for word, rest in (one for stage in reversed(chain) for one in stage.instructions):
        known = ChainMap(found.environ, declared)
        if word == "ARG":
            name, default = _argument(rest)
            declared[name] = _expanded(default, known) if "=" in rest else arguments.get(name, "")
        elif word == "ENV":
            found.environ.update({name: _expanded(value, known) for name, value in _assignments(rest).items()})
        elif word == "RUN" and FETCHES.search(command := _command(rest)):
            found.fetches.append(_fetch(command, found.environ))
    return found


def _fetch(command: str, environ: Mapping[str, str]) -> Fetch:
    if inline := INLINE.search(command):
        return Fetch(command, cache_place({**environ, inline[1]: inline[2].strip("\"'")}), inline[0])
    return Fetch(command, None if DIRECTORY.search(command) else cache_place(environ))


def _argument(rest: str) -> tuple[str, str]:
    name, _, default = rest.partition("=")
    return name.strip(), default.strip().strip("\"'")


def _expanded(text: str, known: Mapping[str, str]) -> str:
    """Put in the variables that a text names, as Docker does; one that is not set is empty."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        return (known.get(name) or found[3] or "")[:MAX_VALUE]

    return VARIABLE.sub(value, text)


def dockerfile_problems(found: Dockerfile, where: str) -> Iterator[Finding]:
    """Name what goes wrong in the build itself."""
    if OLD_BASE.search(found.base):
        yield Finding("old-base-image", where, found.base)
    at_run_time = cache_place(found.environ)
    for fetch in found.fetches:
        if fetch.place is not None and fetch.place.startswith("/root/"):
            yield Finding("cache-in-roots-home", where, f"the model is fetched into {fetch.place} at build")
        elif fetch.inline and fetch.place != at_run_time:
            detail = f"{fetch.inline} is set for that RUN alone, and huggingface_hub will look in {at_run_time}"
            yield Finding("cache-elsewhere", where, detail)
        if "revision" not in fetch.command:
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
        return {name: " ".join(_words(value))}
    words = _words(rest)
    return dict(word.partition("=")[::2] for word in words if "=" in word)


def _words(text: str) -> list[str]:
    """Split as a shell does: in both forms of ENV Docker takes quotes away."""
    try:
        return shlex.split(text) if len(text) <= MAX_WORDS else text.split()
    except ValueError:  # a quote without its twin: Docker would refuse it
        return text.split()


def _command(rest: str) -> str:
    if rest.startswith("["):
        try:
            return " ".join(as_strings(parse(rest, "RUN")))
        except UnreadableError:
            return rest
    return rest
