"""Embeds drawn images as a batch does, indexes them and asks for them, in a process without a network.

Prints a line of JSON: for each language and thing the four names found first, and what an image and a sum find.
"""

from handler import offline  # noqa: F401, I001 - before all else: libraries freeze their network settings when imported

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from handler.batch.reader import FolderReader, now
from handler.batch.rows import Row
from handler.batch.shard import Work
from handler.batch.store import Directory
from handler.http import dispatch
from handler.search.lance import LanceIndex
from handler.search.rebuild import rebuild
from handler.search.routes import table
from handler.search.settings import SearchSettings
from handler.search.source import Source
from handler.service import Service
from layer.demo.captions import LANGUAGES, caption
from layer.demo.shapes import THINGS, draw

EACH = 4  # images of every color and shape
K = 4


def main(root: Path) -> None:
    """Draw, embed, index and ask, below `root`."""
    service = Service.start(os.environ)
    (root / "photos").mkdir()
    random = np.random.default_rng(20261127)
    for number in range(EACH):
        for thing in THINGS:
            draw(random, [thing]).save(root / "photos" / f"{thing.color}-{thing.shape}-{number}.png")
    store = Directory(root / "vectors")
    reader = FolderReader(root / "photos", service.settings.max_object_bytes)
    work = Work(service.model(None), service.models.vectors_sha256(), service.settings, reader, store)
    rows = [Row("", path.name, path.stat().st_size, now()) for path in sorted((root / "photos").iterdir())]
    embedded = work.embed(rows)[0]
    store.write(work.target("vectors", "local", "00000000", "parquet"), work.parquet(embedded))
    rebuild(Source(str(root / "vectors")), LanceIndex(str(root / "index")))
    routes = table(SearchSettings(str(root / "index")))

    def ask(query: Any) -> list[str]:
        answer = dispatch.handle(service, {"query": query, "k": K}, None, routes)
        return [hit["key"].rpartition("-")[0] for hit in answer["data"]]

    found: dict[str, Any] = {
        language: {f"{thing.color}-{thing.shape}": ask(caption([thing], language)) for thing in THINGS[start::2]}
        for start, language in enumerate(LANGUAGES)  # a half in each language
    }
    image = {"image": base64.b64encode((root / "photos" / "red-circle-0.png").read_bytes()).decode()}
    found["image"] = ask(image)
    found["sum"] = ask([image, {"text": "blue"}, {"text": "red", "weight": -1}])
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
