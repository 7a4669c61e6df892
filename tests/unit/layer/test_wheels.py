"""What is recorded of wheels: complete, of the versions that the requirements pin, and for every target there is."""

import functools
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from layer.errors import PackageError
from layer.package import refresh, runtime, wheels
from layer.spec import PYTHONS, Target
from tests.unit.wheelhouse import TARGET, index, sha256, wheel

NOT_THERE = {("openvino", "arm64")}  # its wheels for arm64 need a newer glibc than Lambda has


@pytest.mark.parametrize("engine", ["onnx", "openvino", "torch", "transformers", "heic"])
@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_of_every_target_has_its_hash(engine: str, architecture: str, python: str) -> None:
    target = Target(python, architecture)
    if (engine, architecture) in NOT_THERE:
        with pytest.raises(PackageError, match=r"has no wheels for Python .* take another engine"):
            wheels.recorded([engine], target)
        return

    pinned = {one.name: one.version for one in wheels.recorded([engine], target)}

    assert pinned == refresh._pins(runtime.REQUIREMENTS / f"{engine}.txt")


def test_engines_of_one_bundle_share_what_they_both_need() -> None:
    together = wheels.recorded(["onnx", "torch"], TARGET)

    assert len({one.name for one in together}) == len(together)
    assert {"onnxruntime", "torch", "numpy"} <= {one.name for one in together}


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """An index of torch, torchvision and, as no index of torch's should, of numpy; and the paths it is asked for."""
    house, paths = tmp_path / "house", []
    cpu = [wheel(house, name, "1.0+cpu") for name in ("torch", "torchvision")]
    root = index(tmp_path / "index", *cpu, wheel(house, "numpy", "1.0", content="import os\n"))

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            super().do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Requirements of torch and numpy, where this machine's own pip finds numpy alone."""
    folder = tmp_path / "requirements"
    folder.mkdir()
    (folder / "common.txt").write_text("# of all\nnumpy==1.0  # small\n")
    (folder / "torch.txt").write_text("-r common.txt\ntorch==1.0\ntorchvision==1.0\n")
    monkeypatch.setattr(refresh, "REQUIREMENTS", folder)
    monkeypatch.setattr(wheels, "FOLDER", tmp_path / "hashes")
    (tmp_path / "pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {tmp_path / 'ours'}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "ours"))
    return wheel(tmp_path / "ours", "numpy", "1.0")


def test_torch_comes_from_its_own_index_and_nothing_else_does(
    asked: tuple[str, list[str]], requirements: Path, tmp_path: Path
) -> None:
    url, paths = asked

    assert refresh.refresh("torch", TARGET, url) == "torch-3.13-x86_64.txt: 3 wheels"
    installed = runtime.install(["torch"], TARGET, tmp_path / "tree", url)

    assert {one["name"]: one["version"] for one in installed.wheels} == {
        "numpy": "1.0",
        "torch": "1.0+cpu",
        "torchvision": "1.0+cpu",
    }
    assert (tmp_path / "tree" / "numpy" / "version.py").read_text() == '__version__ = "1.0"\n'
    assert (tmp_path / "tree" / "torch" / "version.py").read_text() == '__version__ = "1.0+cpu"\n'
    assert {path.split("/")[1] for path in paths} == {"torch", "torchvision"}


def test_a_record_is_written_again_only_where_all_of_it_is_known(
    asked: tuple[str, list[str]], requirements: Path, tmp_path: Path
) -> None:
    place = wheels.path("torch", TARGET)
    with pytest.raises(PackageError, match=r"has no hash of torch==1\.0, torchvision==1\.0: give --torch-index-url"):
        refresh.refresh("torch", TARGET, None)
    assert not place.exists()

    refresh.refresh("torch", TARGET, asked[0])
    before = place.read_text()
    assert f"numpy==1.0 --hash=sha256:{sha256(requirements)}\n" in before
    refresh.refresh("torch", TARGET, None)  # torch's hashes, of the same versions, stay
    assert place.read_text() == before

    requirements.unlink()
    with pytest.raises(PackageError, match="pip found no wheels"):
        refresh.refresh("torch", TARGET, asked[0])
    assert place.read_text() == before
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_without_torchs_index_the_error_names_the_option(
    asked: tuple[str, list[str]], requirements: Path, tmp_path: Path
) -> None:
    refresh.refresh("torch", TARGET, asked[0])

    with pytest.raises(PackageError, match=re.compile("No matching distribution.*--torch-index-url", re.DOTALL)):
        runtime.install(["torch"], TARGET, tmp_path / "tree", None)
