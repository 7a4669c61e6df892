"""Which versions of the libraries can build bundles that load offline, and why other versions cannot."""

from collections.abc import Mapping
from importlib import metadata

from packaging.version import Version

from layer.errors import VersionError

MIN_VERSION = {
    "torch": (
        "2.1",
        "load_state_dict(assign=True), by which the handler loads weights without copying them, came then",
    ),
    "open_clip_torch": (
        "2.26.1",
        "earlier ones do not read open_clip_config.json and its tokenizer from one repository",
    ),
    "transformers": ("4.45.0", "earlier ones cannot read the tokenizer.json that today's repositories hold"),
}
BROKEN = {
    ("transformers", "4.57.3"): "it asks the network for vocabularies of over 100,000 entries, offline or not",
}


def installed(package: str) -> str | None:
    """Return the installed version of a distribution, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def check_versions(versions: Mapping[str, str | None] | None = None) -> None:
    """Raise VersionError naming the library, the version found, the one needed and the reason.

    `versions` maps distribution names to versions; None means what is installed.
    """
    found = {name: installed(name) for name in MIN_VERSION} if versions is None else versions
    for name, (least, reason) in MIN_VERSION.items():
        version = found.get(name)
        if version is None:
            raise VersionError(f"{name} is not installed: pip install -r requirements.txt")
        if Version(version) < Version(least):
            raise VersionError(f"{name} {version} is too old: {least} or later is needed, since {reason}")
        if reason := BROKEN.get((name, Version(version).public), ""):
            raise VersionError(f"{name} {version} cannot be used: {reason}; any other from {least} on will do")
