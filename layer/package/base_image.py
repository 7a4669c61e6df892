"""AWS's base images, pinned by the digests that base_images.json records.

For a tag without a record, packaging asks the registry, and pins the digest that it has today.
"""

import hashlib
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from layer.errors import PackageError

RECORD = Path(__file__).with_name("base_images.json")
REGISTRY, REPOSITORY = "public.ecr.aws", "lambda/python"
# A list of the images of all architectures, or one image: what the registry calls by the tag.
ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
MAX_BYTES = 4_000_000  # of a manifest: the most that registries take
SECONDS = 15
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def tag(python: str) -> str:
    """Return the image of a Python, as Docker names it."""
    return f"{REGISTRY}/{REPOSITORY}:{python}"


class Base(NamedTuple):
    """What an image is built on: the tag, and the digest that pins it. `note`: where that is from, if not recorded."""

    tag: str
    digest: str | None
    note: str | None

    @property
    def pinned(self) -> str:
        """The image as the Dockerfile names it."""
        return f"{self.tag}@{self.digest}" if self.digest else self.tag


@cache  # a package names its base in several places, and it is one image
def base(python: str, registry: str = f"https://{REGISTRY}") -> Base:
    """Return the base of a Python's image: pinned as recorded, else by the digest that the registry has today.

    Where the registry cannot be asked either, the digest is None, and the note says why. Raises PackageError for a
    damaged record.
    """
    name = tag(python)
    known = _recorded().get(name)
    if known is not None:
        if not (isinstance(known, str) and DIGEST.fullmatch(known)):
            raise PackageError(f"{RECORD}: {known!r} is not a digest of {name}: run `make pins`")
        return Base(name, known, None)
    try:
        found = ask(registry, REPOSITORY, python)
    except PackageError as error:
        return Base(
            name,
            None,
            f"no digest of {name} is recorded and the registry cannot be asked, so the image is built on its current "
            f"image of that name, whatever that is then: {error}",
        )
    return Base(name, found, f"{name} is pinned to {found}, which the registry has today: `make pins` records it")


def refresh(pythons: Iterable[str], registry: str = f"https://{REGISTRY}") -> list[str]:
    """Ask the registry for the digest of each image and record all of them; returns a line for each.

    Raises PackageError if one is not available; then the record is unchanged.
    """
    found = {tag(python): ask(registry, REPOSITORY, python) for python in pythons}
    before = _recorded()
    aside = RECORD.with_name(f".{RECORD.name}.new")
    aside.write_text(json.dumps({**before, **found}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    aside.replace(RECORD)
    return [f"{name}: {value}{' (as before)' if before.get(name) == value else ''}" for name, value in found.items()]


def ask(registry: str, repository: str, reference: str) -> str:
    """Return the digest that a registry has for a tag: the sha256 of the manifest itself, as the OCI's API defines it.

    Raises PackageError where the registry cannot be asked, or says another digest than its manifest has.
    """
    url = f"{registry}/v2/{repository}/manifests/{reference}"
    headers = {"Accept": ACCEPT}
    try:
        try:
            stated, body = _get(url, headers)
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
            token = _token(error.headers.get("www-authenticate", ""))
            stated, body = _get(url, {**headers, "Authorization": f"Bearer {token}"})
    except (OSError, ValueError) as error:  # urllib's errors are of the first kind
        raise PackageError(
            f"{url} gave no manifest ({error}): see that this machine reaches {registry}, or find the digest elsewhere "
            f"(`docker buildx imagetools inspect {tag(reference)}`) and write it into {RECORD}"
        ) from error
    computed = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if stated not in (None, computed):
        raise PackageError(f"{url} says that its manifest is {stated}, and it is {computed}: nothing was recorded")
    return computed


def _token(challenge: str) -> str:
    """Get the token that anybody may have, from where the registry's challenge says. Raises ValueError, OSError."""
    fields: Mapping[str, str] = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = fields.get("realm", "")
    if not challenge.lower().startswith("bearer ") or not realm.startswith(("https://", "http://127.0.0.1:")):
        raise ValueError(f"it asks for credentials in a way that is not known: {challenge[:200]!r}")
    query = urllib.parse.urlencode({name: fields[name] for name in ("service", "scope") if name in fields})
    answer = json.loads(_get(f"{realm}?{query}", {})[1])
    token = answer.get("token") or answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str):
        raise ValueError(f"{realm} gave no token")
    return token


def _get(url: str, headers: Mapping[str, str]) -> tuple[str | None, bytes]:
    """Return the digest header and the body. Raises OSError, or ValueError for a body that is too large."""
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - https, or a test's own server
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        body = answer.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise ValueError(f"over {MAX_BYTES:,} bytes")
        return answer.headers.get("docker-content-digest"), body


def _recorded() -> dict[str, str]:
    try:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackageError(f"{RECORD} cannot be read ({error}): restore it with `git checkout`") from error
    if not isinstance(record, dict):
        raise PackageError(f"{RECORD} is not an object of tags and digests: restore it with `git checkout`")
    return record
