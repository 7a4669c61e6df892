"""The engines, one record each: its recipes, how a tower is written for it, and the size of its code.

A new engine is a record here, its writer in `layer/export/`, its packages in
`layer/package/requirements/<name>.txt`, and its class in `handler/engines/`. `docs/architecture.md` names the files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Recipe:
    """How the matrices of a tower are stored and multiplied.

    `block` weights share a scale (0: nothing is quantized; ROW: all weights of a row). `activations` is their number of
    bits in products; `group` of them share a scale (0: as many as `block`). `per_token`: products of integers, with a
    scale for each token and for each output channel. `static_noise`: a product gets one fixed range for the activations
    of all images if that is at most so many times as noisy as a range for each token; 0: no product does.
    """

    name: str
    block: int = 0
    activations: int = 32
    group: int = 0
    per_token: bool = False
    static_noise: float = 0.0

    @property
    def static(self) -> bool:
        """Tell whether it has fixed ranges. Such a recipe is not for texts, which are too diverse to calibrate on."""
        return self.static_noise > 0

    @property
    def activation_group(self) -> int:
        """How many activations share a scale at run time; 0 if they are not quantized."""
        return (self.group or self.block) if self.activations == 8 else 0


class Writer(Protocol):
    """Writes one tower as an engine reads it."""

    def __call__(self, fp32: Path, recipe: Recipe, target: Path) -> None:
        """Write `target`, and the files that belong to it, from an fp32 ONNX graph."""


class GroupedWriter(Protocol):
    """Writes the second graph of a tower, which `tower` is the first of."""

    def __call__(self, fp32: Path, recipe: Recipe, tower: Path) -> int:
        """Return how many activations share a scale; 0 if this tower needs no second graph."""


@dataclass(frozen=True)
class Engine:
    """One engine. `recipes` are by precision, each list from the fastest to the most exact.

    `writer` is "module:function", imported when a tower is written; None ships the checkpoint itself. `code_bytes` is
    the size of everything but the models: packages with their bytecode, and the handler. The tests measure it.
    `bf16_images`: its 8-bit image towers may use bfloat16 between products; the parity gate measures that, too.
    `grouped_writer` writes a tower's second graph, as `writer` does the first.
    """

    recipes: Mapping[str, tuple[Recipe, ...]]
    code_bytes: int
    writer: str | None = None
    suffix: str = ""  # of a tower's file
    causal_text: Recipe | None = None  # used instead of PER_TOKEN in causal text towers, for the few tokens of captions
    host_blobs: bool = False  # it compiles a model when it starts, and can export the compiled model
    bf16_images: bool = False
    grouped_writer: str | None = None

    @property
    def ships_checkpoint(self) -> bool:
        """Tell whether the bundle has the checkpoint, in a Hugging Face cache, instead of two exported towers."""
        return self.writer is None

    def load_writer(self) -> Writer:
        """Import the writer; the libraries that it needs are large."""
        writer: Writer = _imported(self.writer)
        return writer

    def load_grouped_writer(self) -> GroupedWriter:
        """Import the writer of second graphs."""
        writer: GroupedWriter = _imported(self.grouped_writer)
        return writer


def _imported(name: str | None) -> Any:
    module, _, function = str(name).partition(":")
    return getattr(import_module(module), function)


ROW = 1 << 30  # a block that no row of a matrix is longer than
FP32 = Recipe("fp32")
PER_TOKEN = Recipe("per-token int8", 128, 8, per_token=True)
STATIC = Recipe("static int8", 128, 8, per_token=True, static_noise=4.0)  # one bit of eight
FEWER_STATIC = Recipe("static int8 for fewer products", 128, 8, per_token=True, static_noise=3.0)
# For trained models, which lose too much with the two above. OpenVINO gains too little from it (docs/engines.md).
FEWEST_STATIC = Recipe("static int8 for the fewest products", 128, 8, per_token=True, static_noise=2.5)
# A single operation of OpenVINO's CPU plugin, which rounds the activations itself: half the compile time of PER_TOKEN.
ROWS = Recipe("8-bit weights with a scale for each row, 8-bit activations in groups of 256", ROW, 8, 256)
# There is no recipe with per-tensor dynamic quantization: its cosine is 0.97 on trained weights.
ENGINES: dict[str, Engine] = {
    "onnx": Engine(
        recipes={
            "fp32": (FP32,),
            "int8": (
                STATIC,
                FEWER_STATIC,
                FEWEST_STATIC,
                PER_TOKEN,
                Recipe("8-bit weights in blocks of 128, 8-bit activations", 128, 8),
                Recipe("8-bit weights in blocks of 32, 8-bit activations", 32, 8),
                Recipe("8-bit weights in blocks of 128, fp32 activations", 128),
                Recipe("8-bit weights in blocks of 32, fp32 activations", 32),
            ),
        },
        code_bytes=99_000_000,
        writer="layer.export.onnx_int8:write_runtime_graph",
        suffix="onnx",
    ),
    "openvino": Engine(
        recipes={
            "fp32": (FP32,),
            "int8": (
                STATIC,
                FEWER_STATIC,
                PER_TOKEN,
                Recipe("8-bit weights in blocks of 128, 8-bit activations", 128, 8),
                Recipe("8-bit weights in blocks of 128, 8-bit activations in groups of 64", 128, 8, 64),
                Recipe("8-bit weights in blocks of 32, 8-bit activations", 32, 8),
                Recipe("8-bit weights in blocks of 32, fp32 activations", 32),
            ),
        },
        code_bytes=155_000_000,
        writer="layer.export.openvino_ir:write_ir",
        suffix="xml",
        causal_text=ROWS,
        host_blobs=True,
        bf16_images=True,
        grouped_writer="layer.export.grouped_graph:write_grouped",
    ),
    "torch": Engine(recipes={"fp32": ()}, code_bytes=800_000_000),
}


# Where `auto` takes OpenVINO: in images, which have room for it, on the processors that it is made for.
FASTEST = {("x86_64", "image"): "openvino"}
TWO_THREADS = 2654  # MB of memory, which buy one and a half processors: from there on the engines start a second thread


def fastest(architecture: str, package: str, memory: int | None = None) -> str:
    """Return the engine that `engine = "auto"` means for a target; `memory` is the function's in MB, None if not set.

    On one processor ONNX Runtime starts in half the time of OpenVINO, which compiles two graphs at each start.
    """
    one_processor = memory is not None and memory < TWO_THREADS
    return "onnx" if one_processor else FASTEST.get((architecture, package), "onnx")
