"""The peers' files of one model, made once from the weights in our torch bundle, each in a folder of its own."""

import hashlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from benchmarks import ROOT
from benchmarks.errors import BenchmarkError
from benchmarks.peers import graphs, inputs, quantize_static, siglip_folder, transformers_folder
from benchmarks.peers.contender import Setup
from benchmarks.peers.open_clip_torch import OpenClip

MADE_BY = "made-by.txt"  # in a folder: which code made it
NEEDED = ("inputs",)  # without them nothing is measured; another missing file ends those who load it


class Step(NamedTuple):
    """One folder: how it is made, and the code that it follows from. It is made anew when that changes."""

    make: Callable[[Path], object]
    code: tuple[ModuleType | Callable[..., Any], ...]

    def recipe(self) -> str:
        """Return a digest of the code."""
        return hashlib.sha256("".join(inspect.getsource(part) for part in self.code).encode()).hexdigest()


def prepare(setup: Setup, nncf: Path) -> None:
    """Make what is missing or outdated below `setup.peers`; `nncf` is the interpreter of NNCF's environment.

    What cannot be made is told; raises the error where nobody can be measured without it.
    """
    setup.peers.mkdir(parents=True, exist_ok=True)
    for name, step in _steps(setup, nncf).items():
        folder = setup.peers / name
        recipe = step.recipe()
        if (folder / MADE_BY).exists() and (folder / MADE_BY).read_text() == recipe:
            continue
        print(f"{setup.name}: making {name}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=setup.peers, prefix=".") as scratch:
            aside = Path(scratch) / name
            aside.mkdir()
            try:
                step.make(aside)
            except Exception as error:  # whatever a library raises: the others go on
                if name in NEEDED:
                    raise
                print(f"{name} of {setup.name} could not be made: {error!r}; the others go on", file=sys.stderr)
                continue
            (aside / MADE_BY).write_text(recipe)
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)


def _steps(setup: Setup, nncf: Path) -> dict[str, Step]:
    loaded: list[OpenClip] = []

    def reference() -> OpenClip:
        loaded[:] = loaded or [OpenClip(setup)]
        return loaded[0]

    onnx = setup.peers / "onnx"
    quantized = (graphs.export, graphs.quantize)
    return {
        "inputs": Step(lambda folder: inputs.write(folder, reference()), (inputs,)),
        "onnx": Step(lambda folder: graphs.export(reference(), setup.name, folder), (graphs.export,)),
        "dynamic": Step(lambda folder: graphs.quantize(onnx, folder), quantized),
        "dynamic-per-channel": Step(lambda folder: graphs.quantize(onnx, folder, per_channel=True), quantized),
        "openvino": Step(lambda folder: graphs.convert(onnx, folder), (graphs.export, graphs.convert)),
        "transformers": Step(
            lambda folder: transformers_folder.write(reference(), setup, folder), (transformers_folder, siglip_folder)
        ),
        "nncf": Step(lambda folder: _static(setup.peers, folder, nncf), (graphs.export, inputs, quantize_static)),
    }


def _static(peers: Path, folder: Path, interpreter: Path) -> None:
    command = "from benchmarks.peers.quantize_static import main; main()"
    done = subprocess.run(
        [str(interpreter), "-c", command, str(peers), str(folder)],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    if done.returncode:
        raise BenchmarkError("NNCF could not quantize the model: its reason is above")


def main() -> None:
    """Prepare one model in a process of its own, since huggingface_hub reads its cache's place once; argv: JSON."""
    given = json.loads(sys.argv[1])
    prepare(Setup.read(given["setup"]), Path(given["nncf"]))


def prepare_apart(setup: Setup, nncf: Path) -> None:
    """Do what `prepare` does in another process. Raises BenchmarkError with the step that failed above."""
    given = json.dumps({"setup": setup.as_json(), "nncf": str(nncf)})
    command = [sys.executable, "-c", "from benchmarks.peers.files import main; main()", given]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    if subprocess.run(command, env=environ, cwd=ROOT, check=False).returncode:
        raise BenchmarkError(f"the peers' files of {setup.name} could not be made: the reason is above")
