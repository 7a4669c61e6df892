"""The client as it is installed: `pip install ./client` into an empty environment, then a folder in two commands."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.clients.browser import Browser
from tests.clients.conftest import MODEL
from tests.clients.gateway import KEY, Gateway
from tests.documents import marked
from tests.patience import BUILD_SECONDS, SECONDS

ROOT = Path(__file__).parents[2]
HEAVY = {
    "torch",
    "torchvision",
    "open-clip-torch",
    "aws-cdk-lib",
    "boto3",
    "botocore",
    "pyarrow",
    "pillow-heif",
    "onnx",
}
MAX_WHEEL_BYTES = 1_000_000


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment that has the client alone, from a copy of client/ without the repository."""
    place = tmp_path_factory.mktemp("installed")
    shutil.copytree(ROOT / "client", place / "client", ignore=shutil.ignore_patterns("__pycache__"))
    venv.create(place / "env", with_pip=True)
    pip = [str(place / "env" / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "-w", str(place), str(place / "client")], check=True, timeout=BUILD_SECONDS
    )
    (wheel,) = place.glob("openclip_lambda-*.whl")
    assert wheel.stat().st_size < MAX_WHEEL_BYTES
    subprocess.run([*pip, "install", str(wheel)], check=True, timeout=BUILD_SECONDS)
    shutil.rmtree(place / "client")
    return place / "env" / "bin"


def run(installed: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(installed / "openclip-lambda"), *arguments]
    env = {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=SECONDS, check=False)


def test_nothing_heavy_comes_along(installed: Path) -> None:
    listed = subprocess.run(
        [installed / "python", "-m", "pip", "list", "--format", "json"],
        capture_output=True,
        check=True,
        timeout=SECONDS,
    )
    names = {row["name"].lower() for row in json.loads(listed.stdout)}
    assert {"openclip-lambda", "httpx", "numpy", "pillow"} <= names
    assert names & HEAVY == set()


def test_what_needs_an_extra_names_it(installed: Path, tmp_path: Path) -> None:
    asked = run(installed, "batch", "estimate", "s3://photos")
    assert asked.returncode == 1
    assert "pip install 'openclip-lambda[batch]'" in asked.stderr
    counted = run(installed, "batch", "estimate", str(tmp_path), "--json")
    assert json.loads(counted.stdout)["images"] == 0


def test_a_folder_is_searched_in_two_commands(
    installed: Path, guarded: Gateway, chrome: Browser, files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    where = {"OPENCLIP_URL": guarded.url, "OPENCLIP_API_KEY": KEY}
    photos, page = tmp_path / "photos.npy", tmp_path / "found.html"

    embedded = run(installed, "embed", str(tmp_path), "--output", str(photos), **where)
    assert embedded.returncode == 3, embedded.stderr
    assert "phone.heic: HEIC needs pillow-heif: pip install pillow-heif" in embedded.stderr
    found = run(installed, "search", str(photos), "a red circle", "--html", str(page), "--json", **where)
    assert found.returncode == 0, found.stderr

    told = json.loads(found.stdout)
    assert told["model"] == MODEL
    assert [Path(row["name"]).name for row in told["results"]] == [files[0].name, files[1].name]
    chrome.hosts()  # what was asked before
    chrome.driver.get(page.as_uri())
    images = "return [...document.images].map(image => [image.alt, image.complete && image.naturalWidth])"
    chrome.wait(lambda: chrome.run(images) == [[path.name, 128] for path in files], "both images, in their order")
    assert chrome.hosts() == {""}  # the file itself, and nothing from anywhere else
    chrome.driver.get("about:blank")


def test_the_commands_of_the_page_install_embed_and_search(
    installed: Path, guarded: Gateway, files: list[Path], tmp_path: Path
) -> None:
    [block] = marked(__file__, "docs/client.md")
    shutil.copytree(ROOT / "client", tmp_path / "client", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "photos").mkdir()
    for path in files:
        shutil.copy(path, tmp_path / "photos")
    pipx = 'pipx() { python -m pip --quiet --disable-pip-version-check "$@"; }'  # so pipx does
    commands = re.sub(r"--url \S+", f"--url {guarded.url}", block.text)
    done = subprocess.run(
        ["bash", "-ec", f"{pipx}\n{commands}"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": f"{installed}:{os.environ['PATH']}", "OPENCLIP_URL": guarded.url, "OPENCLIP_API_KEY": KEY},
        timeout=BUILD_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"photos/{files[0].name}" in done.stdout.splitlines()[0]
    assert (tmp_path / "found.html").is_file()


def test_the_library_is_typed_and_says_what_it_needs(installed: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from openclip_lambda import AsyncClient, Client, ClientError\n"
        "try:\n    Client('localhost', sigv4=True)\n"
        "except ClientError as error:\n    print(error)\n"
    )
    told = subprocess.run([installed / "python", program], capture_output=True, text=True, check=True, timeout=SECONDS)
    assert told.stdout == "--sigv4 needs the Python package botocore: pip install botocore\n"
    package = next((installed.parent / "lib").glob("python*/site-packages/openclip_lambda"))
    assert (package / "py.typed").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_words_are_completed(installed: Path, shell: str) -> None:
    script = run(installed, "--print-completion", shell)
    assert script.returncode == 0
    assert all(
        word in script.stdout
        for word in ("embed", "classify", "search", "health", "--resume" if shell != "fish" else "resume")
    )
    if shell == "bash":
        typed = "COMP_WORDS=(openclip-lambda se); COMP_CWORD=1; _shtab_openclip_lambda; echo ${COMPREPLY[@]}"
        asked = f"{script.stdout}\n{typed}"
        done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=SECONDS, check=True)
        assert done.stdout.split() == ["search"]


def test_the_version_is_the_projects(installed: Path) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = project.partition('\nversion = "')[2].partition('"')[0]
    assert run(installed, "--version").stdout == f"openclip-lambda {version}\n"
    assert sys.version_info >= (3, 11)
