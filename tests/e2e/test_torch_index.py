"""`--torch-index-url`: real pip takes torch's CPU build from an index beside its own, for the target's Python.

The CPU builds' own index is out of reach here, so an index of one wheel, which holds nothing, stands in.
"""

import functools
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from layer.package import runtime

WHEEL = "torch-2.13.0+cpu-cp313-cp313-manylinux_2_28_x86_64.whl"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """The address of a package index, in the simple form, that has a CPU build of torch for Python 3.13 alone."""
    folder = tmp_path / "torch"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("torch/version.py", '__version__ = "2.13.0+cpu"\n')
        facts = "torch-2.13.0+cpu.dist-info"
        wheel.writestr(f"{facts}/METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0+cpu\n")
        wheel.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\n")
        wheel.writestr(f"{facts}/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{WHEEL.replace("+", "%2B")}">{WHEEL}</a>')
    serve = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_torch_for_another_python_is_taken_from_the_index_that_is_named(
    index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [pinned] = [
        line for line in (runtime.REQUIREMENTS / "torch.txt").read_text().splitlines() if line.startswith("torch==")
    ]
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "torch.txt").write_text(pinned)  # the rest is packaged in tests of the image
    monkeypatch.setattr(runtime, "REQUIREMENTS", tmp_path / "requirements")

    runtime.install(["torch"], {"python": "3.13", "architecture": "x86_64"}, tmp_path / "tree", index)

    assert (tmp_path / "tree" / "torch" / "version.py").read_text() == '__version__ = "2.13.0+cpu"\n'
