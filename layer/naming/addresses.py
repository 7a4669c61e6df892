"""An address of the hub, or another tool's form of one, in the place of a model's name."""

import re
from urllib.parse import unquote

_HOST = r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co|hf-mirror\.com)/+"
_HUB = re.compile(
    rf"(?:hf-hub:)?{_HOST}(?:api/)?(?:models/+)?"
    r"([\w.-]+/[\w.-]+?)(?:\.git)?(?:/+(?:tree|blob|resolve|raw|commits?|revision)/([^/?#\s]+)[^\s]*|(?:[/?#][^\s]*)?)",
    re.IGNORECASE,
)
_SCHEMES = re.compile(
    r"(?:hf|hf[-_]?hub|hub|huggingface)(?::|://|-hub:)/*([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?/?", re.IGNORECASE
)
_NO_MODELS = ("datasets", "spaces", "collections", "papers", "docs", "blog", "organizations", "api", "settings")
_DEFAULT = "main"  # of every repository on the hub


def understood(name: str) -> tuple[str, str | None] | None:
    """Return `hf-hub:<org>/<name>` and the revision, None for the default branch, of an address; None of another text.

    https://huggingface.co/acme/clip/tree/v1, hf.co/acme/clip, hf://acme/clip@v1 and the like. An address of a data set
    or a space names no model.
    """
    text = name.strip()
    found = _HUB.fullmatch(text) or _SCHEMES.fullmatch(text)
    if not found or found.group(1).partition("/")[0].lower() in _NO_MODELS:
        return None
    revision = unquote(found.group(2)) if found.group(2) else None
    return f"hf-hub:{found.group(1)}", None if revision == _DEFAULT else revision


def is_of_hub(text: str) -> bool:
    """Tell whether a text begins with the address of the hub or of its mirror."""
    return re.match(_HOST, text, re.IGNORECASE) is not None


def plain(name: str) -> str:
    """Return the name that an address stands for, and any other text as it is."""
    found = understood(name)
    return found[0] if found else name


def taken(fields: dict[str, str]) -> dict[str, str]:
    """Return a model's fields with the repository, and the revision, of an address that is its name.

    Raises ValueError where another revision stands beside it. A model of one's own is left as it is.
    """
    found = None if "checkpoint" in fields else understood(fields["name"])
    if not found:
        return fields
    name, revision = found
    other = fields.get("revision")
    if revision and other and revision != other:
        raise ValueError(f"has revision = {other!r}, and {revision!r} in its name: leave one out")
    return {**fields, "name": name, **({"revision": revision} if revision else {})}
