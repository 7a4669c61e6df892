"""What `make demo` runs: build and verify the demo bundle, start the handler on it, ask it, search a folder by it."""

import base64
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from console.parser import Parser
from console.run import run
from layer.bundle import manifest
from layer.demo import collection
from layer.demo.captions import LANGUAGES, caption
from layer.demo.collection import Collection
from layer.demo.heatmap import save_heatmap
from layer.demo.shapes import Thing, draw
from layer.engines import ENGINES
from layer.errors import BuildError, DemoError
from layer.files.directory_lock import held
from layer.spec import DEFAULT_SPEC, read_spec

MODEL = "openclip-lambda/shapes-i18n"
IMAGE_SIZE = 256  # pixels; drawn larger than the 64 that the model sees, for people
SCENES: tuple[tuple[Thing, ...], ...] = (
    (Thing("red", "circle"),),
    (Thing("green", "triangle"),),
    (Thing("yellow", "moon"),),
    (Thing("purple", "heart"),),
    (Thing("black", "cross"),),
    (Thing("white", "square"),),
    (Thing("blue", "star"), Thing("orange", "ring")),
)
WARM_REQUESTS = 30
MIN_RIGHT = 0.95  # of the images that a search finds first


@dataclass(frozen=True)
class Server:
    """The handler in a process of its own, and when that process was started (seconds, as perf_counter)."""

    url: str
    started: float

    def embed(self, items: list[Any]) -> NDArray[np.float32]:
        """Ask `POST /v1/embeddings`: float32 [N, D], unit length."""
        body = json.dumps({"model": MODEL, "input": items}).encode()
        request = urllib.request.Request(  # noqa: S310 - http, to ourselves
            f"{self.url}/v1/embeddings", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            data = json.load(answer)["data"]
        return np.array([item["embedding"] for item in data], dtype=np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tour; the first run also builds the bundle. Returns the exit status."""
    return run(lambda: _command(arguments), (BuildError,))


def _command(given: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m layer.demo.tour", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("build/bundle"))
    parser.add_argument(
        "--heatmap", "--picture", type=Path, default=Path("build/demo.png"), help="where the heatmap is written"
    )
    parser.add_argument("--images", type=Path, default=Path("build/demo-images"), help="where the images are written")
    parser.add_argument(
        "--collection", type=Path, default=Path("build/demo-collection"), help="where the searched folder is written"
    )
    arguments = parser.parse_args(given)
    if arguments.heatmap.suffix != ".png":
        parser.error(f"--heatmap {arguments.heatmap}: name a .png file")
    folder = arguments.collection.resolve()
    if not folder.name:
        parser.error(f"--collection {arguments.collection}: name a folder in it")
    drawn = (folder / "images" / collection.key_of(0)).is_file()
    if not drawn and any((folder / name).exists() for name in ("vectors", "index")):
        parser.error(f"--collection {arguments.collection} has vectors that the demo did not make: name another folder")
    with held(folder.with_name(f".{folder.name}.lock"), str(folder)):  # a second tour would delete the first's vectors
        _tour(arguments)


def _tour(arguments: Namespace) -> None:
    _bring_bundle(arguments.bundle)
    drawn = [draw(np.random.default_rng([2026, number]), scene, IMAGE_SIZE) for number, scene in enumerate(SCENES)]
    captions = [caption(scene, language) for scene in SCENES for language in LANGUAGES]
    print("\nStarting the handler in a process of its own, as Lambda would ...")
    with _serving(arguments.bundle) as server:
        image_items = [{"image": _data_uri(image)} for image in drawn]
        images = server.embed(image_items)
        cold = time.perf_counter() - server.started
        texts = server.embed(list(captions))
        scores = images @ texts.T
        right = _print_matches(captions, scores)
        print(f"\ncold start   {cold:6.2f} s    process start to the first {len(images)} embeddings over HTTP")
        print(f"warm image   {_median_ms(server, image_items[0]):6.1f} ms   one image, median of {WARM_REQUESTS}")
        print(f"warm caption {_median_ms(server, captions[0]):6.1f} ms   one caption, median of {WARM_REQUESTS}")
    left_out = save_heatmap(arguments.heatmap, drawn, captions, scores)
    print(f"\nheatmap      {arguments.heatmap}")
    if left_out:
        print(f"             without {left_out} Chinese captions: no font here has the characters (fonts-noto-cjk has)")
    _save_images(arguments.images, drawn)
    print(f"images       {arguments.images}, one for each caption: try them in the playground (`make serve`)")
    if right < len(captions):
        raise DemoError(f"{len(captions) - right} of {len(captions)} captions found a wrong image: please report it")
    _search(arguments.bundle, Collection(*(arguments.collection / name for name in ("images", "vectors", "index"))))


def _search(bundle: Path, made: Collection) -> None:
    """Draw, embed, index and search a folder of images."""
    started = time.perf_counter()
    print(f"\nDrawing, embedding and indexing {collection.IMAGES} images ...")
    made.draw()
    made.embed(bundle)
    with _serving(bundle, "--index", str(made.index.resolve()), "--images", str(made.images)) as server:
        share = collection.show(collection.searching(server.url))
    print(f"all of this took {time.perf_counter() - started:.1f} s; `make serve` has a search tab over {made.index}")
    if share < MIN_RIGHT:
        raise DemoError(f"only {share:.0%} of what was found is right: please report it")


def _save_images(folder: Path, drawn: Sequence[Image.Image]) -> None:
    """Write each image as PNG, named by what it shows."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (scene, image) in enumerate(zip(SCENES, drawn, strict=True), 1):
        shown = "-and-".join(f"{thing.color}-{thing.shape}" for thing in scene)
        image.save(folder / f"{number}-{shown}.png")


def _bring_bundle(bundle: Path) -> None:
    """Verify the bundle where there is one, build it (which verifies it) where there is none.

    Raises DemoError where it is of models of the user's own.
    """
    if (bundle / "manifest.json").exists():
        command = ["verify", "--bundle", str(bundle)]
        _refuse_another(bundle, manifest.read(bundle).models[0].id)
    else:
        command = ["build", "--output", str(bundle)]
        _refuse_another(DEFAULT_SPEC, read_spec().models[0].id)
    run = subprocess.run([sys.executable, "-m", "layer", *command], check=False)
    if run.returncode:
        sys.exit(run.returncode)  # it said why, and the fix


def _refuse_another(place: Path, first: str) -> None:
    """Raise DemoError if the default model is another one: the captions and the search are made for the demo's."""
    if first != MODEL:
        raise DemoError(
            f"{place} has {first} as its first model, and the demo is of {MODEL}: ask yours with `make serve`, "
            f'or put [[model]] name = "hf-hub:{MODEL}" first in {DEFAULT_SPEC} and run `make build`'
        )


@contextmanager
def _serving(bundle: Path, *options: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="openclip-demo-") as cache, Path(cache, "log").open("w+") as log:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *_bare(bundle), "devserver", "--port", "0", *options],
            env={
                "PATH": os.environ["PATH"],
                "OPENCLIP_BUNDLE_DIR": str(bundle.resolve()),
                "OPENCLIP_CACHE_DIR": cache,
                "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            },
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            if (url := _announced_url(process)) is None:
                log.seek(0)
                sys.exit(f"the handler ended before it was ready:\n{log.read()}")
            yield Server(url, started)
        finally:
            process.terminate()
            process.communicate(timeout=10)


def _bare(bundle: Path) -> list[str]:
    """Hide torch from the handler, as in Lambda, unless a model of the bundle needs it."""
    models = manifest.read(bundle).models
    return [] if any(ENGINES[model.engine].ships_checkpoint for model in models) else ["layer.bundle.runtime_only"]


def _announced_url(process: "subprocess.Popen[str]") -> str | None:
    assert process.stdout is not None  # noqa: S101 - opened as a pipe above
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return found.group().rstrip("/.")
    return None


def _print_matches(captions: list[str], scores: NDArray[np.float32]) -> int:
    """Print which image each caption finds; `scores` is [images, captions]. Returns how many are right."""
    right = 0
    print(f"\n{'caption':<42} finds image     cosine   next best")
    for column, text in enumerate(captions):
        order = np.argsort(-scores[:, column])
        wanted = column // len(LANGUAGES)
        right += int(order[0] == wanted)
        verdict = "" if order[0] == wanted else f"   wrong: should be {wanted + 1}"
        wide = sum(ord(letter) > 0x2E80 for letter in text)  # Chinese characters take two columns
        best, second = scores[order[0], column], scores[order[1], column]
        print(f"{text:<{42 - wide}} {order[0] + 1:>7}         {best:6.3f}   {second:6.3f}{verdict}")
    print(f"{right} of {len(captions)} captions find their image")
    return right


def _median_ms(server: Server, item: Any) -> float:
    times = []
    for _ in range(WARM_REQUESTS):
        start = time.perf_counter()
        server.embed([item])
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


if __name__ == "__main__":
    sys.exit(main())
