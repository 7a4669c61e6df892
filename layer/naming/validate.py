"""Validate names, commits and hashes before they become part of a path, a URL or a command.

The hub's responses, models.lock, models.toml and manifest.json are untrusted text. Each function returns its argument
if it is valid. Otherwise it raises ValueError saying what is wrong; the caller adds where the value was found.
"""

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

MAX_NAME = 200  # bytes: file systems take 255, and this project adds endings of its own
MAX_SHOWN = 80
_REPO_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"  # as huggingface_hub.utils.validate_repo_id
_REPOSITORY = re.compile(rf"(?:{_REPO_PART}/)?{_REPO_PART}")
_OWNED = re.compile(rf"{_REPO_PART}/{_REPO_PART}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")  # devices on Windows, whatever the extension
_NOT_IN_A_REF = re.compile(r"[\s~^:?*\[\\\x00-\x1f\x7f]|\.\.|@\{|//|^[-/.]|[/.]$|\.lock$")  # git check-ref-format


def repository(value: object) -> str:
    """Return a repository's id, `<owner>/<name>` or, of a canonical model, `<name>`."""
    if isinstance(value, str) and _REPOSITORY.fullmatch(value) and ".." not in value and "--" not in value:
        return value
    raise ValueError(
        f"{shown(value)} is not a repository id: one is <owner>/<name>, of letters, digits, '-', '_' and '.'"
    )


def is_owned(value: str) -> bool:
    """Tell whether a text is `<owner>/<name>`, both as the hub takes them."""
    return bool(_OWNED.fullmatch(value)) and ".." not in value and "--" not in value


def is_commit(text: str) -> bool:
    """Tell whether a text is a commit in full, 40 hexadecimal digits, and no branch or tag."""
    return bool(_COMMIT.fullmatch(text))


def commit(value: object) -> str:
    """Return a commit: 40 hexadecimal digits, in lower case."""
    if isinstance(value, str) and is_commit(value):
        return value
    raise ValueError(f"{shown(value)} is not a commit: one is 40 hexadecimal digits")


def sha256(value: object) -> str:
    """Return a sha256: 64 hexadecimal digits, in lower case."""
    if isinstance(value, str) and _SHA256.fullmatch(value):
        return value
    raise ValueError(f"{shown(value)} is not a sha256: one is 64 hexadecimal digits")


def revision(value: object) -> str:
    """Return a branch, a tag or a commit, as git allows them."""
    if (
        isinstance(value, str)
        and 0 < len(value) <= MAX_NAME
        and not _NOT_IN_A_REF.search(value)
        and value.isprintable()
    ):
        return value
    raise ValueError(f"{shown(value)} is not a branch, tag or commit")


def file_name(value: object) -> str:
    """Return the name of a file that stays in its directory on every file system."""
    if not isinstance(value, str) or not value or value in (".", ".."):
        raise ValueError(f"{shown(value)} is not a file name")
    if "/" in value or "\\" in value or ":" in value:
        raise ValueError(f"{shown(value)} is a path, not the name of a file")
    if not value.isprintable():
        raise ValueError(f"{shown(value)} has characters that cannot be printed")
    if len(value.encode("utf-8", "replace")) > MAX_NAME:
        raise ValueError(f"{shown(value)} is longer than {MAX_NAME} bytes")
    if _RESERVED.fullmatch(value) or value != value.rstrip(". "):
        raise ValueError(f"{shown(value)} is a name that some file systems do not take")
    return value


def relative_path(value: object) -> str:
    """Return a path with `/` that stays below where it starts, every part of it a file name."""
    if not isinstance(value, str) or not value or value != str(PurePosixPath(value)):
        raise ValueError(f"{shown(value)} is not a relative path")
    for part in value.split("/"):
        file_name(part)
    return value


def url_file(url: object) -> str:
    """Return the name of the file that a URL ends in."""
    return file_name(urlsplit(str(url)).path.rpartition("/")[2])


def shown(value: object) -> str:
    """Return a foreign value for an error's text: one line, printable, cut after MAX_SHOWN characters."""
    told = repr(value)
    if not told.isprintable():
        return ascii(value)[:MAX_SHOWN]
    return told if len(told) <= MAX_SHOWN else f"{told[:MAX_SHOWN]}..."
