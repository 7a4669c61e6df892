"""What Lambda itself refuses of a package: sizes, rights, places, and libraries that do not go together."""

import re
from collections.abc import Iterator

from layer.budget import IMAGE_BYTES, LAYER_BYTES
from layer.doctor.finding import Finding
from layer.doctor.tree import Tree
from layer.versions import BROKEN, LEAST

KNOWN = {*LEAST, *(name for name, _ in BROKEN)}
METADATA = re.compile(r"(?:^|/)([A-Za-z0-9_.]+)-([^/]+)\.dist-info/METADATA$")


def rights_problems(tree: Tree, where: str) -> Iterator[Finding]:
    """Name what another user than the builder may not read."""
    closed = [path for path, node in tree.nodes.items() if node.link is None and not _open(node.mode, node.directory)]
    if closed:
        more = f", and {len(closed) - 1} more" if len(closed) > 1 else ""
        yield Finding(
            "not-readable",
            where,
            f"{min(closed)}{more} may not be read by every user, and Lambda's is not the one who built it: Errno 13",
            "chmod -R a+rX before packing (a zip keeps the modes, and one made without them has none)",
        )


def layer_problems(tree: Tree, where: str) -> Iterator[Finding]:
    """Name what is wrong with a zip as a layer or a function."""
    if tree.size() > LAYER_BYTES:
        yield Finding(
            "over-250-mb",
            where,
            f"{tree.size():,} bytes unzipped: Lambda says 'Unzipped size must be smaller than {LAYER_BYTES} bytes'",
            "8-bit weights and ONNX Runtime, or an image: `python -m layer models --fits layer` lists what fits",
        )
    packages = sorted({path.split("/")[0] for path in tree.nodes if METADATA.search(path)})
    wrong = [name for name in packages if name != "python" and name.endswith("site-packages")]
    if wrong or any(name in ("lib", "venv", ".venv") for name in packages):
        yield Finding(
            "packages-not-under-python",
            where,
            f"packages lie under {packages[0]}/: of a layer, Lambda's Python looks in /opt/python only",
            "pip install --target python, and zip that directory",
        )


def image_problems(tree: Tree, attested: bool, where: str) -> Iterator[Finding]:
    """Name what is wrong with an image as a whole."""
    if tree.size() > IMAGE_BYTES:
        yield Finding(
            "over-10-gb", where, f"{tree.size():,} bytes: Lambda takes 10 GB", "install the CPU build of torch"
        )
    if attested:
        yield Finding(
            "image-with-attestations",
            where,
            "it was built with provenance or SBOM attestations, whose manifest Lambda refuses",
            "docker buildx build --provenance=false --sbom=false",
        )
    if any("/nvidia/" in f"/{path}" and path.endswith(".so.12") for path in tree.nodes):
        yield Finding(
            "cuda-in-the-image",
            where,
            "it holds gigabytes of CUDA libraries, which Lambda has no processor for",
            "install torch from the CPU index",
            fatal=False,
        )


def library_problems(tree: Tree, where: str) -> Iterator[Finding]:
    """Name installed libraries whose versions fail offline, or do not go together."""
    from packaging.version import Version

    found = {match[1].lower(): match[2] for path in tree.nodes if (match := METADATA.search(path))}
    for name in sorted(KNOWN & set(found)):  # of others, any spelling of a version may be there
        version = found[name]
        if reason := BROKEN.get((name, Version(version).public)):
            yield Finding("broken-library", where, f"{name} {version}: {reason}", f"install another {name}")
        least, reason = LEAST.get(name, ("0", ""))
        if Version(version) < Version(least):
            yield Finding("old-library", where, f"{name} {version}: {reason}", f"install {name} {least} or later")
    torch, vision = found.get("torch", ""), found.get("torchvision", "")
    if torch and vision and torch.endswith("+cpu") and not vision.endswith("+cpu"):
        yield Finding(
            "torchvision-of-another-torch",
            where,
            f"torch {torch} with torchvision {vision}: 'operator torchvision::nms does not exist' at import",
            "take both from the same index",
        )


def _open(mode: int, directory: bool) -> bool:
    wanted = 0o555 if directory else 0o444
    return mode & wanted == wanted
