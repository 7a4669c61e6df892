"""Decide which files of a tree are read: small ones that say how a model is found, and a function's own Python."""

from layer.doctor.limits import MAX_SOURCE, MAX_TEXT

BUNDLE_OF_LAYER = "openclip/manifest.json"  # of a layer's zip that `package` wrote
MAX_MANIFEST = 8 * MAX_TEXT
WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".npz")
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
POINTER = b"version https://git-lfs"
POINTER_BYTES = 1024  # a pointer of Git LFS has about 130
INSTALLED = ("site-packages/", "dist-packages/", "/lib/python", "node_modules/", ".venv/")


def wanted(path: str, size: int) -> bool:
    """Tell whether the doctor will ask for a file's content."""
    if path.endswith(".py"):
        return is_source(path, size)
    if path == BUNDLE_OF_LAYER:
        return size <= MAX_MANIFEST
    if "models--" not in path:
        return False
    if may_be_pointer(path, size):
        return True
    # A config may be a link to a blob, whose name says nothing.
    return size <= MAX_TEXT and any(part in path for part in ("/refs/", "/trees/", "/blobs/", "config"))


def may_be_pointer(path: str, size: int) -> bool:
    """Tell whether a file, which Git LFS would keep, is as small as a pointer to it."""
    return size <= POINTER_BYTES and path.endswith((*WEIGHTS, *TOKENIZERS))


def is_source(path: str, size: int) -> bool:
    """Tell whether a file is a Python module that was not installed."""
    return path.endswith(".py") and size <= MAX_SOURCE and not any(part in f"/{path}" for part in INSTALLED)
