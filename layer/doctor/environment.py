"""What a function's environment variables mean to huggingface_hub, transformers and what writes beside them."""

from collections.abc import Iterator, Mapping

from layer.doctor.finding import Finding

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
MEND = "ENV HF_HUB_OFFLINE=1"


def environment_problems(environ: Mapping[str, str], where: str, set_in_code: bool) -> Iterator[Finding]:
    """Name what the environment does not do although it looks so; `set_in_code` is whether the code sets it in time."""
    if not set_in_code:
        yield from _offline(environ, where)
    if "TRANSFORMERS_CACHE" in environ and not {"HF_HOME", "HF_HUB_CACHE"} & set(environ):
        yield Finding(
            "cache-variable-not-read",
            where,
            "TRANSFORMERS_CACHE is not read by transformers 5 nor by huggingface_hub, which keep to their default",
            "set HF_HUB_CACHE to that directory instead",
        )
    for name, who in WRITERS.items():
        if (value := environ.get(name, "/tmp")) and not value.startswith("/tmp"):  # noqa: S108 - Lambda's writable place
            yield Finding(
                "writes-outside-tmp",
                where,
                f"{name}={value}: {who} will try to write there, and in Lambda only /tmp can be written to",
                f"ENV {name}=/tmp/{name.lower()}",
                fatal=False,
            )
    for name in THREADS:
        if (value := environ.get(name, "")).isdigit():
            yield from too_many_threads(f"{name}={value}", int(value), where)


def too_many_threads(setting: str, threads: int, where: str) -> Iterator[Finding]:
    """Name a setting by which more threads compute than a function can have processors."""
    if threads > MOST_THREADS:
        yield Finding(
            "more-threads-than-processors",
            where,
            f"{setting}: a function has {MOST_THREADS} vCPUs at most, one for each 1,769 MB, and threads beyond them "
            "wait for each other",
            "as many threads as the memory setting buys vCPUs",
            fatal=False,
        )


def _offline(environ: Mapping[str, str], where: str) -> Iterator[Finding]:
    hub, transformers = environ.get("HF_HUB_OFFLINE"), environ.get("TRANSFORMERS_OFFLINE")
    deciding = hub or transformers  # an empty variable counts as none
    if deciding and deciding.upper() in TRUE:
        return
    if deciding and deciding.strip(QUOTES) != deciding:
        yield Finding(
            "offline-in-quotes",
            where,
            f"the value is {deciding}, quotes and all (as pasted from a web page), which does not mean true",
            MEND,
        )
    elif hub and transformers and transformers.upper() in TRUE:
        yield Finding(
            "offline-overridden",
            where,
            f"HF_HUB_OFFLINE={hub} beats TRANSFORMERS_OFFLINE={transformers}: the network is asked",
            MEND,
        )
    elif deciding:
        yield Finding(
            "offline-not-true", where, f"{deciding!r} is none of {', '.join(TRUE)}: the network is asked", MEND
        )
    elif "HF_DATASETS_OFFLINE" in environ:
        yield Finding(
            "offline-wrong-variable",
            where,
            "HF_DATASETS_OFFLINE is not read by huggingface_hub: the network is asked",
            MEND,
        )
    else:
        yield Finding(
            "offline-unset",
            where,
            "without HF_HUB_OFFLINE each start asks the hub first: from a VPC it hangs, and the cache's read-only "
            "file system gives Errno 30 on .locks",
            MEND,
        )


def cache_place(environ: Mapping[str, str]) -> str:
    """Return the directory in which huggingface_hub will look for models--*."""
    if place := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
        return place
    if home := environ.get("HF_HOME"):
        return f"{home}/hub"
    base = environ.get("XDG_CACHE_HOME") or f"{environ.get('HOME', '/root')}/.cache"
    return f"{base}/huggingface/hub"
