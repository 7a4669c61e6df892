"""Command lines as people, scripts and machines get them wrong: seeded, each with its files, environment and fault."""

import functools
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.offline.faults import ERRORS, READS, WRITES, Fault

DEMO = '[[model]]\nname = "hf-hub:openclip-lambda/shapes-i18n"\nengine = "torch"\n'
TINY = '[[model]]\nname = "hf-hub:acme/tiny"\nengine = "torch"\n'
OWN = '[[model]]\nname = "acme/own"\ncheckpoint = "{}"\nconfig = "{}"\nengine = "torch"\n'
SPECS = (
    *(DEMO,) * 6,
    *(TINY,) * 2,
    DEMO + TINY,
    DEMO.replace("torch", "onnx"),
    DEMO.replace('engine = "torch"\n', ""),
    TINY.replace("tiny", "nothing"),
    TINY.replace("acme/tiny", "acme/gated"),
    TINY + 'revision = "no-such"\n',
    '[[model]]\nname = "ViT-B32"\npretrained = "openai"\n',
    '[[model]]\nname = "ViT-B-32"\npretrained = "open"\n',
    '[[model]]\nname = "ViT-B-32"\npretrained = "openai"\n',
    '[target]\npython = "3.12"\narchitecture = "arm64"\npackage = "layer"\n' + DEMO,
    *(
        OWN.format(at, of)
        for at in ("own", "own/w.pt", "/nowhere", "models.toml")
        for of in ("own/c.json", "RN50/openai")
    ),
    "model = 3\n[target]\npython = 3.13\n",
    "[[model]]\nname = 3\n",
    "",
    "[" * 3000,
    "x = " + "[" * 2000 + "]" * 2000,
    '[[model]]\nname = "a\\u0000b"\n',
    f'[[model]]\nname = "hf-hub:{"a" * 300}/b"\nengine = "torch"\n',
)
LINES = Path(__file__).with_name("command_lines.txt")
# What a shell, a script or a hand puts where an argument should be.
WORDS = (
    *("", "a b", "\n", "\x1b[31m", "\udcff.png", "x" * 5000, "一", "'", "%s", "{}", "$(reboot)"),
    *("-", "--", "-h", "--help", "--version", "-1", "0", "1e9", "nan", "+x", "--output", "--models", "--cache"),
    *("--bundle", "--locked", "--update", "--all", "--fits", "--familly", "biuld", "bundle", "loop", "file", "empty"),
    *("/dev/null", "/dev/full", "/proc/self/mem", "/proc/self/environ", ".", "..", "~", "/nowhere/at/all"),
    *("models.toml", "s3://b/k", "http://[", "https://", "acme/tiny:latest"),
)
ENVIRONS: list[dict[str, str | None]] = [
    *[{}] * 6,
    {"HOME": None},
    {"HOME": "/nowhere", "TMPDIR": "/nowhere"},
    {"COLUMNS": "x", "TERM": "dumb"},
    {"OPENCLIP_URL": "not an address", "OPENCLIP_API_KEY": "a\nb"},
    {"OPENCLIP_URL": "http://[::1", "OPENCLIP_API_KEY": "ключ"},
    {"AWS_PROFILE": "no-such", "AWS_CONFIG_FILE": "file"},
    {"HTTP_PROXY": "nonsense", "HTTPS_PROXY": "socks9://x", "NO_PROXY": ""},
    {"OPENCLIP_THREADS": "many", "OPENCLIP_MAX_ITEMS": "-1"},
    {"PATH": "/nowhere"},
]
OUTPUTS = (*("whole",) * 8, "ascii", "pipe", "full", "none", "latin-1")


@dataclass
class Case:
    """One command line with all that surrounds it."""

    number: int
    program: str
    arguments: list[str]
    spec: bytes
    environ: dict[str, str | None]
    output: str
    fault: Fault | None
    damage: str | None = None  # what is wrong with the files that lie there
    seed: int = 0
    notes: list[str] = field(default_factory=list)


def cases(seed: int, count: int, root: str, places: dict[str, str]) -> list[Case]:
    """Return `count` cases; the same seed gives the same. `places` fill {api} and {busy}."""
    rng = random.Random(seed)  # noqa: S311 - nothing secret
    return [_case(rng, number, root, places) for number in range(count)]


@functools.cache
def _lines() -> tuple[tuple[int, str], ...]:
    """Return each command line with its weight."""
    rows = [line.partition(" ") for line in LINES.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return tuple((int(weight), line) for weight, _, line in rows)


def _case(rng: random.Random, number: int, root: str, places: dict[str, str]) -> Case:
    weights, lines = zip(*_lines(), strict=True)
    program, _, given = rng.choices(lines, weights)[0].partition(":")
    arguments = given.format(**places).split()
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        _mutate(rng, arguments)
    spec = rng.choice(SPECS).encode()
    if rng.random() < 0.25:
        spec = _damaged(rng, spec)
    return Case(
        number,
        program,
        arguments,
        spec,
        dict(rng.choice(ENVIRONS)),
        rng.choice(OUTPUTS),
        _fault(rng, root) if rng.random() < 0.6 else None,
        rng.choice((*(None,) * 5, "output is a file", "manifest", "lock", "no cwd", "cache is a file", "config")),
        rng.getrandbits(32),
    )


def _mutate(rng: random.Random, arguments: list[str]) -> None:
    at = rng.randrange(len(arguments) + 1)
    what = rng.choice(("insert", "replace", "drop", "repeat", "cut"))
    if what == "insert" or not arguments:
        arguments.insert(at, rng.choice(WORDS))
        return
    at = min(at, len(arguments) - 1)
    if what == "replace":
        arguments[at] = rng.choice(WORDS)
    elif what == "drop":
        del arguments[at]
    elif what == "repeat":
        arguments.insert(at, arguments[at])
    else:
        arguments[at] = arguments[at][: rng.randrange(len(arguments[at]) + 1)]


def _damaged(rng: random.Random, spec: bytes) -> bytes:
    kind = rng.choice(("bom", "utf-16", "latin-1", "cut", "bytes", "letter"))
    if kind == "bom":
        return b"\xef\xbb\xbf" + spec
    if kind == "utf-16":
        return spec.decode().encode("utf-16")
    if kind == "latin-1":
        return spec + "# naïve\n".encode("latin-1")
    if kind == "cut":
        return spec[: rng.randrange(len(spec) + 1)]
    if kind == "bytes":
        return rng.randbytes(200)
    at = rng.randrange(len(spec) + 1)
    return spec[:at] + rng.choice((b'"', b"[", b"=", b"\x00", b"\\", b"\n", b".", b"/")) + spec[at:]


def _fault(rng: random.Random, root: str) -> Fault:
    nth = int(rng.paretovariate(0.5))
    if rng.random() < 0.1:
        return Fault((*WRITES, *READS), nth, None, False, root)
    error = rng.choice(list(ERRORS))
    return Fault(ERRORS[error], nth, error, rng.random() < 0.5, root)


def damage(case: Case, place: Path) -> None:
    """Do to the files what the case says."""
    rng = random.Random(case.seed)  # noqa: S311
    if case.damage == "output is a file":
        (place / "out").unlink(missing_ok=True) if (place / "out").is_file() else (place / "out").rmdir()
        (place / "out").write_text("a file")
    elif case.damage == "cache is a file":
        shutil.rmtree(place / "cache", ignore_errors=True)
        (place / "cache").write_text("a file")
    elif case.damage in ("manifest", "lock", "config"):
        path = place / {"manifest": "bundle/manifest.json", "lock": "models.lock", "config": "own/c.json"}[case.damage]
        path.write_bytes(_damaged_json(rng, path.read_bytes() if path.exists() else b"{}"))


def _damaged_json(rng: random.Random, data: bytes) -> bytes:
    kind = rng.randrange(6)
    if kind == 0:
        return b"[" * 100_000
    if kind == 1:
        return rng.choice((b"", b"null", b"[]", b"{}", b"3", b'"x"', b'{"models": 3, "schema": 3, "version": 1}'))
    if kind == 2:
        return data[: rng.randrange(len(data) + 1)]
    if kind == 3:
        return data.replace(b'"', rng.choice((b"'", b"")), rng.randrange(1, 30))
    words = [
        word
        for word in (b"models", b"files", b"sha256", b"size", b"path", b"target", b"engine", b"sources")
        if word in data
    ]
    word = rng.choice(words or [b"{"])
    return data.replace(word, b"gone", 1) if kind == 4 else data.replace(b": ", rng.choice((b": [", b": null,")), 1)
