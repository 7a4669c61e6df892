"""Which names of a bucket or directory are files of a batch: the same for a rebuild and for an update."""

from typing import Any

ENDINGS = {"vectors": ".parquet", "deletions": ".jsonl"}  # by the folder
FORMS = " nor ".join(f"{folder}/<model>/<run>/<file>{ending}" for folder, ending in ENDINGS.items())


def is_ours(name: str) -> bool:
    """Tell whether a batch may have written a name.

    S3 takes others, as `vectors//a/b.parquet`, and pyarrow cannot ask for them. macOS writes `._b.parquet` beside
    `b.parquet`, on a drive of another system and in archives: its notes on that file.
    """
    parts = name.split("/")
    ending = ENDINGS.get(parts[0])
    named = all(part and not part.startswith(".") for part in parts)
    return ending is not None and name.endswith(ending) and len(parts) == 4 and named


def listed_path(info: Any) -> str:
    r"""Return the path of pyarrow's FileInfo. A byte that is not UTF-8 is `\udcXX`, as in Python's own lists."""
    try:
        path: str = info.path
    except UnicodeDecodeError as error:
        path = bytes(error.object).decode(errors="surrogateescape")
    return path


def is_utf8(name: str) -> bool:
    """Tell whether a name can be asked for, and written to an index."""
    return name.encode(errors="replace").decode() == name
