"""Open a checkpoint of any format for its tensors alone: their names and shapes first, their numbers on request.

Nothing here hands a file on to a loader that can do more: `layer.weights.unpickle` reads pickles, TorchScript's too.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from layer.errors import CheckpointError
from layer.files.foreign import refuse_pointer
from layer.weights.tensor import CONVERT, Tensor

if TYPE_CHECKING:
    import torch

SUFFIXES = (".safetensors", ".bin", ".pth", ".pt")  # of the files that are read here
MAX_HEADER = 16 << 20  # bytes of a safetensors header; a model of 2,000 tensors has 250 KB
MAX_COPIES = 4  # tied weights are written once for each name: more than this is not a model, but a bomb


def open_tensors(path: Path) -> Mapping[str, Tensor]:
    """Return a checkpoint's tensors by name, without what training saved beside them (the optimizer's state).

    Raises CheckpointError naming the file, and what to do with one that cannot be read without running code.
    """
    refuse_pointer(path, CheckpointError)
    try:
        tensors = _by_format(path)
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from error
    size, total = path.stat().st_size, sum(_bytes(tensor) for tensor in tensors.values())
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors: is it the checkpoint?")
    if total > MAX_COPIES * size + (1 << 20):
        raise CheckpointError(f"{path} would unpack to {total:,} bytes from {size:,}: it is not a valid checkpoint")
    return tensors


def _by_format(path: Path) -> Mapping[str, Tensor]:
    from layer.weights import torch_file

    with path.open("rb") as stream:
        start = stream.read(512)
    if path.suffix == ".safetensors":
        return _safetensors(path, start)
    if start.startswith(b"PK\x03\x04"):
        return torch_file.archive(path)
    if start.startswith(b"\x80"):
        return torch_file.legacy(path)
    if start[257:262] == b"ustar":
        raise CheckpointError(f"is a tar archive of a torch before 0.2, which is not read here: {CONVERT}")
    raise CheckpointError(
        f"is not a checkpoint: it begins with {start[:16]!r}, and neither safetensors nor what torch.save writes does"
    )


def _safetensors(path: Path, start: bytes) -> Mapping[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    if int.from_bytes(start[:8], "little") > MAX_HEADER:
        raise CheckpointError(
            f"is no safetensors file: its header would have {int.from_bytes(start[:8], 'little'):,} bytes"
        )
    try:
        with safe_open(path, "pt") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
            return {
                name: Tensor(
                    tuple(part.get_shape()), _SAFETENSORS.get(part.get_dtype(), part.get_dtype()), _read(path, name)
                )
                for name, part in slices.items()
            }
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"is not a complete safetensors file ({str(error)[:200]}): copy or download it again"
        ) from error


def _read(path: Path, name: str) -> Callable[[], "torch.Tensor"]:
    def read() -> "torch.Tensor":
        from safetensors import safe_open

        with safe_open(path, "pt") as opened:
            found: torch.Tensor = opened.get_tensor(name)
            return found

    return read


_SAFETENSORS = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
    **{"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool"},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"},
}


def _bytes(tensor: Tensor) -> int:
    import torch

    kind = getattr(torch, tensor.dtype, None)
    return math.prod(tensor.shape) * (kind.itemsize if isinstance(kind, torch.dtype) else 1)
