"""What people paste: the messages by which OpenCLIP fails in Lambda, and what each of them means."""

import re
from collections.abc import Iterator

from layer.doctor.finding import Finding

OFFLINE = (
    "set HF_HUB_OFFLINE=1 in the function's environment, and ship what the model needs: `doctor` the image or the cache"
)
SYMPTOMS: tuple[tuple[str, str, str, str], ...] = (
    (
        r"Read-only file system: .*\.locks|Errno 30.*(huggingface|\.locks)",
        "hub-asked-read-only-cache",
        "huggingface_hub locks a file of the cache: it is not offline, although the cache is there",
        OFFLINE,
    ),
    (
        r"Errno 30\] Read-only file system: '/home/sbx|problem when trying to write in your cache folder"
        r"|Matplotlib created a temporary|cannot cache function .*: no locator available",
        "home-not-writable",
        "a library keeps its cache in the home directory, which Lambda does not have",
        "set HOME, HF_HOME, TORCH_HOME, MPLCONFIGDIR, NUMBA_CACHE_DIR and XDG_CACHE_HOME to directories under /tmp",
    ),
    (
        r"couldn't connect to|Max retries exceeded|LocalEntryNotFoundError|not the path to a directory",
        "hub-asked",
        "the model, its tokenizer or its text tower's config is asked for from the hub",
        OFFLINE,
    ),
    (r"IncompleteSnapshotError", "trees-left", "trees/ lists files that were pruned", "remove trees/ from the cache"),
    (
        r"Errno 38\] Function not implemented|SemLock",
        "shared-memory-needed",
        "a semaphore between processes, which Lambda does not have",
        "use threads; num_workers=0",
    ),
    (
        r"Can't open SHM2",
        "shared-memory-needed",
        "OpenMP wants shared memory, which Lambda does not have",
        "set OMP_NUM_THREADS, and take a torch that does not bring Intel OpenMP",
    ),
    (
        r"Errno 13\] Permission denied",
        "not-readable",
        "files are not readable by every user",
        "chmod -R a+rX before packing",
    ),
    (
        r"torchvision::nms does not exist",
        "torchvision-of-another-torch",
        "torchvision was built for another torch",
        "take both from the same index",
    ),
    (
        r"Unzipped size must be smaller than",
        "over-250-mb",
        "function and layers together are over 250 MB",
        "8-bit weights, or an image: `python -m layer models --fits layer`",
    ),
    (r"Task timed out", "timed-out", "the load, or a question to the hub, took longer than the timeout", OFFLINE),
    (
        r"Required pretrained weights|[Mm]odel initialized randomly|Failed to download file \(",
        "weights-missing",
        "there are no weights; of the names that open_clip tried, its message has the last",
        "fetch them",
    ),
    (
        r"returning default SimpleTokenizer",
        "tokenizer-of-no-model",
        "open_clip knows no model of that name, and only warns: other token ids, wrong vectors",
        "name a model of `python -m layer models --all`, or hf-hub:<repository>",
    ),
    (
        r"cannot identify image file",
        "picture-not-decoded",
        "bytes of a picture arrived as something else; a binary body comes in base64",
        "decode the body where the event's isBase64Encoded is true; a REST API needs binaryMediaTypes",
    ),
    (r"Runtime\.ImportModuleError|No module named", "module-missing", "a module was not packed", "pack what it names"),
    (r"Internal Server Error|Runtime exited", "died", "the function died; its log has the reason", "doctor the log"),
)


def symptoms(text: str, where: str) -> Iterator[Finding]:
    """Name the pitfalls whose messages stand in a log or in an answer, each once, with the message."""
    seen = set()
    for pattern, code, what, mend in SYMPTOMS:
        if (match := re.search(pattern, text)) and code not in seen:
            seen.add(code)
            yield Finding(code, where, f"{what} ({match[0]!r})", mend)
