"""The commands of the pages on this machine, in a directory with the demo model's bundle, and what they print."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from layer.demo.shapes import draw
from layer.demo.tour import IMAGE_SIZE, SCENES, _save_images
from tests.documents import ROOT, Block, marked
from tests.local.emulator import free_port
from tests.patience import SECONDS
from tests.shell import Shell
from tests.transcript import commands, difference, masked

PORT = "127.0.0.1:8080"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory, demo_bundle: Path) -> Shell:
    folder = tmp_path_factory.mktemp("home")
    (folder / "build").mkdir()
    (folder / "build" / "bundle").symlink_to(demo_bundle)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    drawn = [draw(np.random.default_rng([2026, number]), scene, IMAGE_SIZE) for number, scene in enumerate(SCENES)]
    _save_images(folder / "build" / "demo-images", drawn)
    return Shell(folder, {"OPENCLIP_CACHE_DIR": str(folder / "cache")})


@pytest.fixture(scope="module")
def address(shell: Shell) -> Iterator[str]:
    """The local server, as `make serve` starts it."""
    with serving(shell) as found:
        yield found


class serving:
    """A server on a port of its own, for as long as the block runs."""

    def __init__(self, shell: Shell, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "devserver", "--port", "0", *options],
            cwd=shell.folder,
            env={**os.environ, **shell.environ, "PYTHONPATH": str(ROOT), "OPENCLIP_BUNDLE_DIR": "build/bundle"},
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> str:
        assert self._process.stdout
        found = re.search(r"http://(\S+)", self._process.stdout.readline())
        assert found, "the server does not say where it is"
        return found[1]

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(SECONDS)


def block(page: str, found: list[Block], start: str) -> Block:
    """Return the block of a page that begins with a text."""
    [one] = [one for one in found if one.code.startswith(start)]
    assert one.page == page
    return one


README = marked(__file__, "README.md")
CLIENT = marked(__file__, "docs/client.md")
FIRST = marked(__file__, "docs/first-run.md")
COLLECTIONS = marked(__file__, "docs/collections.md")


def test_a_phone_s_folder_is_embedded_and_searched(shell: Shell, address: str) -> None:
    photos = shell.folder / "photos"
    images = sorted((shell.folder / "build" / "demo-images").iterdir())
    for year, chosen in (("2025", images[:4]), ("2026", images[4:])):
        (photos / year).mkdir(parents=True)
        for path in chosen:
            shutil.copy(path, photos / year)
    (photos / "2025" / "half.jpg").touch()
    another = draw(np.random.default_rng([2026, 100]), SCENES[0], IMAGE_SIZE)
    pillow_heif.from_pillow(another).save(photos / "2026" / "IMG_0412.HEIC")
    with Image.open(images[1]) as image:
        image.convert("RGB").save(photos / "2026" / "IMG_0414.jpg")
    (photos / "2026" / "._IMG_0412.HEIC").write_bytes(bytes.fromhex("00051607000200004d6163204f532058"))
    (photos / "2026" / "IMG_0413.MOV").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  ")
    (photos / "2026" / "IMG_0412.aae").write_text("<plist/>")
    names = {str(shell.folder): "/home/me"}
    asking = Shell(shell.folder, {**shell.environ, "OPENCLIP_URL": f"http://{address}"})
    asking.follow(block("docs/client.md", CLIENT, "$ openclip-lambda embed photos"), 0, 3, names=names)
    assert b"data:image/" in (shell.folder / "found.html").read_bytes()


def test_the_library_does_what_the_page_says(shell: Shell, address: str) -> None:
    images = sorted((shell.folder / "build" / "demo-images").iterdir())
    with Image.open(images[0]) as image:
        image.convert("RGB").save(shell.folder / "a.jpg")
        pillow_heif.from_pillow(image.convert("RGB")).save(shell.folder / "b.heic")
    code = block("docs/client.md", CLIENT, "from openclip_lambda").text
    shown = dict(re.findall(r"^ +(\w+) = .+# float32 \[(.+?)\]", code, re.MULTILINE))
    assert len(shown) == 4
    code = code.replace("https://abc123.execute-api.eu-west-1.amazonaws.com", f"http://{address}")
    for name in shown:
        code += f"print({name}.dtype, list({name}.shape))\n"
    (shell.folder / "program.py").write_text(code)
    printed = shell.run("python program.py").splitlines()
    shapes = [f"float32 [{shape.replace('D', '64')}]" for shape in shown.values()]
    assert printed == ["400 text_too_long input[0]", *shapes]


def photos(folder: Path, good: int, broken: int, start: int = 0) -> None:
    """Fill a folder with drawings, files that are no images, and one that is left out."""
    folder.mkdir(parents=True)
    for number in range(good):
        scene = SCENES[(start + number) % len(SCENES)]
        name = "-and-".join(f"{thing.color}-{thing.shape}" for thing in scene)
        draw(np.random.default_rng([7, number]), scene, 64).save(folder / f"{name}-{number}.png")
    for number in range(broken):
        (folder / f"broken-{number}.jpg").write_bytes(b"no image")
    (folder / "notes.txt").touch()


def test_a_folder_becomes_files_an_index_and_hits(shell: Shell) -> None:
    here = Shell(shell.folder / "collection", shell.environ)
    photos(here.folder / "photos", 60, 2)
    (here.folder / "build").symlink_to(shell.folder / "build")
    here.follow(block("docs/collections.md", COLLECTIONS, "$ pip install arro3"), 0, 3)
    here.follow(block("docs/collections.md", COLLECTIONS, "$ rm photos/"), 0, 3)
    searching = block("docs/collections.md", COLLECTIONS, "$ python -m handler.search rebuild")
    (rebuild, shown), (serve, _), (ask, answer) = commands(searching.text)
    assert not (found := difference(shown, here.run(rebuild))), found
    options = re.sub(r".* -m devserver", "", serve).split()
    with serving(here, *options) as there:
        found_here = json.loads(here.run(ask.replace(PORT, there)))
    on_the_page = json.loads(answer)
    assert shape_of(found_here) == shape_of(on_the_page)
    # added.png is a copy of a red circle: of two vectors that are alike, either may come first.
    assert found_here["data"][0]["key"].startswith(("red-circle-", "added.png"))


def shape_of(value: Any) -> Any:
    """Return a JSON value with the type in the place of each text and number."""
    if isinstance(value, dict):
        return {key: shape_of(one) for key, one in value.items()}
    return [shape_of(one) for one in value] if isinstance(value, list) else type(value).__name__


def test_a_folder_takes_the_client_s_batch_commands(shell: Shell) -> None:
    bundle = shell.folder / "build" / "bundle"  # the client's own default is this checkout's
    here = Shell(shell.folder / "local", {**shell.environ, "OPENCLIP_BUNDLE_DIR": str(bundle)})
    photos(here.folder / "photos" / "in", 120, 3)
    (here.folder / "photos" / "in" / "notes.txt").unlink()
    here.follow(block("docs/client.md", CLIENT, "$ openclip-lambda batch start photos"), 0, 3)


def test_the_api_answers_as_the_readme_shows(shell: Shell, address: str) -> None:
    good, bad = (block("README.md", README, start) for start in ('{"object"', '{"error"'))
    ask = f"curl -s {address}/v1/embeddings -H 'content-type: "
    answer = shell.run(f"""{ask}application/json' -d '{{"input": ["a red circle"]}}'""")
    shown = json.loads(good.text.replace(",...,", ","))
    found = json.loads(answer)
    assert shape_of({**found, "data": 0}) == shape_of({**shown, "data": 0})
    assert (found["model"], found["usage"]) == (shown["model"], shown["usage"])
    vector, [first, second, last] = found["data"][0]["embedding"], shown["data"][0].pop("embedding")
    np.testing.assert_allclose([vector[0], vector[1], vector[-1]], [first, second, last], atol=0.005)
    assert {**found["data"][0], "embedding": 0} == {**shown["data"][0], "embedding": 0}
    cut = (shell.folder / "build" / "demo-images" / "1-red-circle.png").read_bytes()[:20]
    body = json.dumps({"input": [{"image": base64.b64encode(cut).decode()}]})
    assert json.loads(shell.run(f"{ask}application/json' -d '{body}'")) == json.loads(bad.text)


def test_a_first_run_ends_with_the_answers_that_the_page_shows(shell: Shell, address: str) -> None:
    shell.follow(block("docs/first-run.md", FIRST, "$ source"), names={address: PORT})


def test_the_doctor_finds_all_that_a_first_run_needs(shell: Shell) -> None:
    [(line, shown)] = commands(block("docs/first-run.md", FIRST, "$ python -m layer doctor").text)
    bundle = shell.folder / "build" / "bundle"
    printed = Shell(ROOT, shell.environ).run(f"{line} --bundle {bundle} --port {free_port()}")
    names = {sys.executable: "/home/me/openclip-lambda/.venv/bin/python", str(bundle): "build/bundle"}
    assert not (found := difference(shown, printed, names)), found


def test_a_deployment_is_looked_at_as_the_examples_say(shell: Shell, address: str) -> None:
    [block] = marked(__file__, "examples/README.md")
    line = block.text.strip().replace("<Url>", f"http://{address}").replace("<key>", "none-is-asked-for-here")
    assert json.loads(shell.run(line))["status"] == "ok"


def test_masks_keep_words() -> None:
    assert masked("62 images in 1 shards; 0.6 s; b2f14a40430e") == "# images in # shards; # s; #"
