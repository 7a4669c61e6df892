"""An image as other tools save it."""

import json
from collections.abc import Mapping


def skopeo_directory(layout: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of `skopeo copy ... dir:` for an OCI layout's: blobs by their digests beside one manifest."""
    [described] = json.loads(layout["index.json"])["manifests"]
    blobs = {name.rpartition("/")[2]: data for name, data in layout.items() if name.startswith("blobs/")}
    manifest = blobs.pop(described["digest"].removeprefix("sha256:"))
    return {**blobs, "manifest.json": manifest, "version": b"Directory Transport Version: 1.1\n"}
