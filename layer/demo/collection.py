"""A folder of drawn images, embedded, indexed and searched, each by the command that does so for anybody's folder."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from layer.demo.captions import LANGUAGES, caption
from layer.demo.shapes import THINGS, Thing, draw

IMAGES = 500
SIDE = 128  # pixels
SEED = 2027
SHOWN = (("en", Thing("red", "circle")), ("zh", Thing("blue", "star")))
TOP = 4

Search = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True)
class Collection:
    """A folder of images and where its vectors and its index lie."""

    images: Path
    vectors: Path
    index: Path

    def draw(self) -> None:
        """Draw the images, the same each time, in a folder for each color."""
        for color in {thing.color for thing in THINGS}:
            (self.images / color).mkdir(parents=True, exist_ok=True)
        for number in range(IMAGES):
            thing = THINGS[number % len(THINGS)]
            image = draw(np.random.default_rng([SEED, number]), (thing,), SIDE)
            image.save(self.images / key_of(number), quality=90)

    def embed(self, bundle: Path) -> None:
        """Embed the folder into Parquet, and make the index of it. Ends the process where a command fails."""
        shutil.rmtree(self.vectors, ignore_errors=True)  # the vectors of another bundle are of no use here
        _run(bundle, "handler.batch", str(self.images), "--output", str(self.vectors), "--shard-size", str(IMAGES // 2))
        _run(bundle, "handler.search", "rebuild", "--vectors", str(self.vectors), "--index", str(self.index))


def key_of(number: int) -> str:
    """Return the key of an image, which says what it shows."""
    thing = THINGS[number % len(THINGS)]
    return f"{thing.color}/{thing.shape}-{number:03d}.jpg"


def show(search: Search) -> float:
    """Search in both languages, and print what was found. Returns the share of right images among each query's first.

    `search` takes a text and a number of hits, and returns their keys, the nearest first.
    """
    print(f"\nsearched for                 the first {TOP} of {IMAGES} images")
    for language, thing in SHOWN:
        text = caption((thing,), language, template=1)
        wide = sum(ord(letter) > 0x2E80 for letter in text)  # Chinese characters take two columns
        print(f"{text:<{28 - wide}} {', '.join(search(text, TOP))}")
    started = time.perf_counter()
    queries = [(thing, caption((thing,), language)) for thing in THINGS for language in LANGUAGES]
    right = [key.startswith(f"{thing.color}/{thing.shape}-") for thing, text in queries for key in search(text, TOP)]
    milliseconds = 1000 * (time.perf_counter() - started) / len(queries)
    print(f"{sum(right)} of {len(right)} are right, of {len(queries)} queries; {milliseconds:.1f} ms a query")
    return sum(right) / len(right)


def searching(url: str) -> Search:
    """Return a search by the API at `url`."""

    def search(text: str, count: int) -> Sequence[str]:
        body = json.dumps({"query": text, "k": count}).encode()
        request = urllib.request.Request(  # noqa: S310 - http, to ourselves
            f"{url}/v1/search", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            data: list[dict[str, Any]] = json.load(response)["data"]
        return [hit["key"] for hit in data]

    return search


def _run(bundle: Path, module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    print(f"$ python -m {module} {' '.join(arguments)}", flush=True)
    done = subprocess.run(command, env={**os.environ, "OPENCLIP_BUNDLE_DIR": str(bundle.resolve())}, check=False)
    if done.returncode:
        sys.exit(done.returncode)  # it said why, and the fix
