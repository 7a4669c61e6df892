"""What a function's environment variables mean to huggingface_hub, transformers and what writes beside them."""

import re
from collections.abc import Iterator, Mapping

from layer.doctor.readers.tree import Tree
from layer.findings.finding import Finding

# Where a project says which environment its function has: SAM, the Serverless Framework, and Terraform's files.
TEMPLATES = tuple(f"{name}.{kind}" for name in ("template", "serverless") for kind in ("yaml", "yml", "json"))
DEPLOYED = re.compile(
    r"""^[^#\n]*?\b(HF_HUB_OFFLINE|TRANSFORMERS_OFFLINE)["']?[ \t]*[:=][ \t]*["']?([^\s"'#},]*)""", re.MULTILINE
)
TRUE = ("1", "ON", "YES", "TRUE")  # huggingface_hub/constants.py, after .upper()
QUOTES = "“”„‟«»‘’\"'"
WRITERS = {
    "MPLCONFIGDIR": "matplotlib",
    "NUMBA_CACHE_DIR": "numba",
    "TORCH_HOME": "torch",
    "XDG_CACHE_HOME": "what follows the XDG rules",
}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MOST_THREADS = 6  # vCPUs of a function with 10,240 MB
MOST_DIGITS = 9  # of a number of threads that anybody means


def deployed_environment(tree: Tree) -> dict[str, str]:
    """Return the offline flags that the templates of a project set. Raises UnreadableError."""
    names = [name for name in tree.names("") if name in TEMPLATES or name.endswith(".tf")]
    return {name: value for text in map(tree.text, names) for name, value in DEPLOYED.findall(text or "")}


def environment_problems(environ: Mapping[str, str], where: str, set_in_code: bool) -> Iterator[Finding]:
    """Name settings that look right and have no effect; `set_in_code`: the code sets the offline flag in time."""
    if not set_in_code:
        yield from _offline(environ, where)
    if "TRANSFORMERS_CACHE" in environ and not {"HF_HOME", "HF_HUB_CACHE"} & set(environ):
        yield Finding("cache-variable-not-read", where)
    for name, who in WRITERS.items():
        if (value := environ.get(name, "/tmp")) and not value.startswith("/tmp"):  # noqa: S108 - Lambda's writable place
            yield Finding("writes-outside-tmp", where, f"{name}={value} of {who}")
    for name in THREADS:
        value = environ.get(name, "")
        if value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS:
            yield from too_many_threads(name, int(value), where)


def too_many_threads(setting: str, threads: int, where: str) -> Iterator[Finding]:
    """Name a setting that starts more threads than a function can have processors."""
    if threads > MOST_THREADS:
        yield Finding("more-threads-than-processors", where, f"{setting} is {min(threads, 10**MOST_DIGITS)}")


def _offline(environ: Mapping[str, str], where: str) -> Iterator[Finding]:
    hub, transformers = environ.get("HF_HUB_OFFLINE"), environ.get("TRANSFORMERS_OFFLINE")
    deciding = hub or transformers  # an empty variable counts as none
    if deciding and deciding.upper() in TRUE:
        return
    if deciding and deciding.strip(QUOTES) != deciding:
        yield Finding("offline-in-quotes", where, deciding)
    elif hub and transformers and transformers.upper() in TRUE:
        yield Finding("offline-overridden", where, f"HF_HUB_OFFLINE={hub}, TRANSFORMERS_OFFLINE={transformers}")
    elif deciding:
        yield Finding("offline-not-true", where, deciding)
    elif "HF_DATASETS_OFFLINE" in environ:
        yield Finding("offline-wrong-variable", where)
    else:
        yield Finding("offline-unset", where)


def cache_place(environ: Mapping[str, str]) -> str:
    """Return the directory in which huggingface_hub will look for models--*."""
    if place := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
        return place
    if home := environ.get("HF_HOME"):
        return f"{home}/hub"
    base = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '/root')}/.cache"
    return f"{base}/huggingface/hub"
