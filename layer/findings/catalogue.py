"""Every finding of the doctor once: its stable code, how severe it is, what it means, and the fix."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Entry:
    """An "error" keeps the model from loading, or from loading rightly; a "warning" costs time, space or trust."""

    severity: Literal["error", "warning"]
    what: str
    fix: str


def error(what: str, fix: str) -> Entry:
    """Return the entry of a finding that makes the command fail."""
    return Entry("error", what, fix)


def warning(what: str, fix: str) -> Entry:
    """Return the entry of a finding that leaves the exit status 0."""
    return Entry("warning", what, fix)


NAME_IT = "write the name of the directory in snapshots/ into refs/main, without a newline"
FETCH = "fetch it again with HF_HUB_DISABLE_SHARED_BLOBS=1 and copy with links followed (cp -rL), or build a bundle"
OFFLINE = "set HF_HUB_OFFLINE=1 in the function's environment, and ship what the model needs: `doctor` the cache"
SET_OFFLINE = "ENV HF_HUB_OFFLINE=1"
SAME_INDEX = "install both from the same index"
READ_LOG = "point the doctor to the function's log (a file, or - for standard input)"

CACHE = {
    "no-snapshot": error("the repository has no snapshots/: only parts of the cache were copied", FETCH),
    "refs-missing": error(
        "offline, huggingface_hub cannot tell which snapshot is meant: refs/main is missing", NAME_IT
    ),
    "refs-newline": error(
        "refs/main has white space around the commit: offline, huggingface_hub looks for a snapshot of that exact name",
        "write the commit without a newline (printf, not echo)",
    ),
    "refs-unknown": error("refs/main names a commit that is not in snapshots/", f"{NAME_IT}; or {FETCH}"),
    "dangling-link": error("the link leads to a file that is not here", FETCH),
    "link-out-of-repository": warning(
        "the content is outside the model's directory: copying that directory leaves it behind", FETCH
    ),
    "incomplete-download": error("a download that was cut off", "remove it, and fetch the model again"),
    "lfs-pointer": error(
        "a pointer of Git LFS, not the file itself", "git lfs pull, or fetch the file with the hub's client"
    ),
    "trees-left": error(
        "trees/ lists files that were pruned: an offline snapshot_download refuses the snapshot",
        "remove trees/ from the cache",
    ),
    "weights-missing": error(
        "open_clip finds no weights: create_model only warns, and gives a random model",
        "fetch the weights, and pass require_pretrained=True",
    ),
    "config-missing": error(
        "the config that says what the weights or the text tower are is not here", "fetch it with the model"
    ),
    "hash-mismatch": error(
        "the content is not what the source itself, or models.lock, says of the file: it was cut off, or changed",
        "remove it, and fetch the model again",
    ),
    "line-ends-converted": error(
        "its LF became CRLF, as by git with core.autocrlf", "clone with -c core.autocrlf=false, or copy as binary"
    ),
    "revision-missing": error(
        "the commit that is asked for is not here",
        "fetch that commit, or take the one that is here: python -m layer build --update",
    ),
    "tokenizer-missing": error("open_clip takes a tokenizer from here, and none is here", FETCH),
    "no-exist-note-missing": error(
        "a tokenizer without a config.json: transformers 5 asks the hub for one, and offline that fails",
        "make the empty file .no_exist/<commit>/config.json in the repository's directory",
    ),
    "other-repository-id": error(
        "open_clip asks for a repository by its exact id, and the cache has it under another",
        "rename the directory to the id that is asked for",
    ),
    "second-repository-missing": error(
        "the model's tokenizer or text tower has a repository of its own, which is not in this cache",
        "fetch it into the same cache",
    ),
}
ENVIRONMENT = {
    "offline-unset": error(
        "without HF_HUB_OFFLINE each start asks the hub first: from a VPC it hangs, and the cache's read-only file "
        "system gives Errno 30 on .locks",
        SET_OFFLINE,
    ),
    "offline-in-quotes": error(
        "the value has quotes in it (as pasted from a web page), so it does not mean true", SET_OFFLINE
    ),
    "offline-overridden": error(
        "HF_HUB_OFFLINE takes precedence over TRANSFORMERS_OFFLINE: the network is asked", SET_OFFLINE
    ),
    "offline-not-true": error("the value is none of 1, ON, YES, TRUE: the network is asked", SET_OFFLINE),
    "offline-wrong-variable": error(
        "HF_DATASETS_OFFLINE is not read by huggingface_hub: the network is asked", SET_OFFLINE
    ),
    "cache-variable-not-read": error(
        "TRANSFORMERS_CACHE is not read by transformers 5 nor by huggingface_hub: they use their default",
        "set HF_HUB_CACHE to that directory instead",
    ),
    "cache-elsewhere": error(
        "the cache is not where huggingface_hub will look", "set ENV HF_HUB_CACHE to the directory of the cache"
    ),
    "cache-in-roots-home": error(
        "the cache is in root's home: Lambda runs as another user, with another home, and may not enter /root",
        "set ENV HF_HOME=/opt/hf before the RUN that fetches, and keep it for run time",
    ),
    "writes-outside-tmp": warning(
        "a library will try to write there, and in Lambda only /tmp can be written to",
        "set the variable to a directory under /tmp",
    ),
    "home-not-writable": error(
        "a library keeps its cache in the home directory, which Lambda does not have",
        "set HOME, HF_HOME, TORCH_HOME, MPLCONFIGDIR, NUMBA_CACHE_DIR and XDG_CACHE_HOME to directories under /tmp",
    ),
    "hub-asked-read-only-cache": error(
        "huggingface_hub locks a file of the cache: it is not offline, although the cache is there", OFFLINE
    ),
    "hub-asked": error("the model, its tokenizer or its text tower's config is asked for from the hub", OFFLINE),
    "more-threads-than-processors": warning(
        "a function has 6 vCPUs at most, one for each 1,769 MB, and threads beyond them wait for each other",
        "as many threads as the memory setting buys vCPUs",
    ),
}
CODE = {
    "offline-set-too-late": error(
        "the offline flag is set after an import of what reads it, once, at import",
        "set it in the function's environment, or before that import",
    ),
    "cache-dir-not-passed-on": error(
        "cache_dir does not reach the config and the text tower of this model: they are looked for elsewhere",
        "set HF_HUB_CACHE in the environment instead",
    ),
    "checkpoint-with-wrong-preprocessing": error(
        "the weights are a file: open_clip silently prepares images as for another model",
        "keep open_clip_config.json beside the weights and name the directory: local-dir:<directory>",
    ),
    "random-model-not-refused": warning(
        "the call only warns where the weights are missing, and gives a random model", "pass require_pretrained=True"
    ),
    "tokenizer-of-no-model": warning(  # in code a later open_clip may know the name
        "open_clip has no model of this name: it only warns, and gives its default tokenizer, so other token ids",
        "name a model of `python -m layer models --all`, or hf-hub:<repository>",
    ),
    "shared-memory-needed": error(
        "Lambda has no /dev/shm: semaphores between processes and OpenMP's shared memory fail (Errno 38, SHM2)",
        "use threads and num_workers=0; set OMP_NUM_THREADS, and take a torch that does not bring Intel OpenMP",
    ),
    "picture-not-decoded": error(
        "the bytes of an image arrived as something else; a binary body comes in base64",
        "decode the body where the event's isBase64Encoded is true; a REST API needs binaryMediaTypes",
    ),
}
PACKAGE = {
    "not-readable": error(
        "files may not be read by every user, and Lambda's user is not the one who built them: Errno 13",
        "chmod -R a+rX before packing (a zip keeps the modes, and one made without them has none)",
    ),
    "over-250-mb": error(
        "function and layers together are over Lambda's 262,144,000 bytes unzipped",
        "8-bit weights and ONNX Runtime, or an image: `python -m layer models --fits layer` lists what fits",
    ),
    "over-10-gb": error("the image is over Lambda's 10 GB", "install the CPU build of torch"),
    "packages-not-under-python": error(
        "packages are not under python/: of a layer, Lambda's Python looks in /opt/python only",
        "pip install --target python, and zip that directory",
    ),
    "module-missing": error(
        "a module, or a library that one needs, was not packed", "pack the module or the library that the message names"
    ),
    "built-for-another-platform": error(
        "what is compiled is for another system, processor or Python than the function's, which cannot find or load it",
        "pip install --platform manylinux2014_x86_64 (arm64: manylinux2014_aarch64) --only-binary=:all: "
        "--python-version <the function's> --target <directory>, and a runtime of Python 3.12 or later; "
        "for an image docker build --platform linux/amd64 or linux/arm64",
    ),
    "old-base-image": error(
        "the base is Amazon Linux 2, whose glibc 2.26 today's torch and onnxruntime wheels do not run on",
        "take public.ecr.aws/lambda/python:3.13",
    ),
    "unpinned-download": warning(
        "the model is fetched at whatever commit its branch has that day: two builds can differ",
        "pass revision=<commit> to what fetches",
    ),
    "image-with-attestations": error(
        "the image was built with provenance or SBOM attestations, whose manifest Lambda refuses",
        "docker buildx build --provenance=false --sbom=false",
    ),
    "cuda-in-the-image": warning(
        "it holds gigabytes of CUDA libraries, which Lambda cannot use", "install torch from the CPU index"
    ),
    "broken-library": error("this version of the library fails offline", "install another version of it"),
    "old-library": error("the library is too old", "install the version that is named, or a later one"),
    "torchvision-of-another-torch": error(
        "torchvision was built for another torch: 'operator torchvision::nms does not exist' at import", SAME_INDEX
    ),
    "bundle-broken": error("the bundle is not what its manifest says", "python -m layer build"),
    "bundle-outdated": error(
        "the bundle was built by another version, and the handler of this one refuses it", "python -m layer build"
    ),
}
FUNCTION = {
    "unhealthy": error("the function says that it cannot serve", "build and deploy again"),
    "timed-out": error(
        "it took longer than the timeout: the load, or a request to the hub",
        f"SnapStart or a faster load, and offline: {OFFLINE}",
    ),
    "out-of-memory": error(
        "the function needed more memory than it has, and was killed",
        "give it more memory (a REPORT line of the log has what it has), or take a smaller model or 8-bit weights",
    ),
    "tmp-full": error(
        "the disk is full: a function has 512 MB, in /tmp, unless it asks for more",
        "ship the model in the package and read it there, or set the ephemeral storage to more",
    ),
    "died": error("the function died, or gave no HTTP response", "the log's lines before the end say why: " + READ_LOG),
    "not-allowed": error(
        "the function refuses this caller",
        "set OPENCLIP_API_KEY to its key; a function URL of type IAM needs a signed request",
    ),
    "too-large": error("the request was too large", "Lambda takes 6 MB"),
    "refused": error("the function gave no embedding", READ_LOG),
    "not-an-embedding": error("the response is not an embedding", "see the routes in the README"),
    "not-unit-length": warning("the vector's length is not 1", "normalize it"),
}
EXAMINATION = {
    "nothing-known": error(
        "nothing that the doctor knows was found here",
        "name a Hugging Face cache, a directory with a Dockerfile or a function's code, a bundle, an image or what "
        "docker save wrote of it, a tar of files, a layer's zip, a log, or a function's address",
    ),
    "unreadable": error("this cannot be read, so it was not examined", "make it readable, or make it again"),
    "unsafe-name": error(
        "a name or a link leads out of the archive: whoever unpacks it may overwrite other files",
        "make the archive again, from a directory",
    ),
    "too-much-to-examine": error(
        "the examination stopped at one of its limits: what was found until then is above, and there may be more",
        "point the doctor to the part that matters (the cache, the function's code), or give a longer --timeout",
    ),
}
CATALOGUE: dict[str, Entry] = {**CACHE, **ENVIRONMENT, **CODE, **PACKAGE, **FUNCTION, **EXAMINATION}
