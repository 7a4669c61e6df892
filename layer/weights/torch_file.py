"""Read files of torch.save and torch.jit.save without torch.load: the pickle as records, the numbers as bytes."""

import math
import re
import zipfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layer.errors import CheckpointError
from layer.weights.tensor import CONVERT, Tensor
from layer.weights.unpickle import MAX_PICKLE, Inert, Record, Stored, unpickle

if TYPE_CHECKING:
    import torch

MAX_ENTRIES = 100_000
MAX_DEPTH = 64  # of modules in modules
MAX_SPREAD = 64  # elements of a block for each of a tensor that is a view of it
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # torch.serialization's, of the format before its zip archives
_WRAPPED = ("state_dict", "model_state_dict", "model")
_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")  # open_clip drops them from OpenAI's archives

Places = dict[str, tuple[int, int]]  # of each block: where its bytes begin in the file, and how many there are


def archive(path: Path) -> Mapping[str, Tensor]:
    """Read a zip archive: a state_dict, or TorchScript's modules, whose tensors are taken and whose code is not."""
    try:
        with zipfile.ZipFile(path) as opened:
            names = [entry.filename for entry in opened.infolist()]
            pickles = [name for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
            if len(pickles) != 1 or len(names) > MAX_ENTRIES or len(set(names)) != len(names):
                raise CheckpointError("is a zip archive, but not one of torch.save: it has to have one data.pkl")
            top = pickles[0].removesuffix("data.pkl")
            if opened.getinfo(pickles[0]).file_size > MAX_PICKLE:
                raise CheckpointError(f"has a data.pkl of over {MAX_PICKLE:,} bytes: {CONVERT}")
            if f"{top}byteorder" in names and _text(opened, f"{top}byteorder") == "big":
                raise CheckpointError(f"was written on a big-endian machine: {CONVERT}")
            with opened.open(pickles[0]) as stream:
                content = unpickle(stream)
            places = _stored_at(path, opened, f"{top}data/")
            if _has_code(names):
                records = _script(content, cache(lambda kind: _source(opened, top, kind)))
            else:
                records = _state(content)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError) as error:
        raise CheckpointError(f"is a damaged archive ({str(error)[:120]}): copy or download it again") from error
    return _tensors(path, records, places)


def is_script(path: Path) -> bool:
    """Tell whether torch.load would take a file for TorchScript's, and run its code."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as opened:
        return _has_code(opened.namelist())


def _has_code(names: list[str]) -> bool:
    return any(re.search(r"(^|/)(constants\.pkl$|code/)", name) for name in names)


def legacy(path: Path) -> Mapping[str, Tensor]:
    """Read the format before torch 1.6: pickles one after the other, then the blocks of numbers."""
    with path.open("rb") as stream:
        source = _Bounded(stream, MAX_PICKLE)
        if unpickle(source) != _MAGIC or unpickle(source) != _PROTOCOL:
            raise CheckpointError(
                "is a pickle, but none of torch.save's, and cannot be loaded without running code in it: save "
                "model.state_dict() by safetensors.torch.save_file"
            )
        machine = unpickle(source)
        if not isinstance(machine, dict) or machine.get("little_endian") is not True:
            raise CheckpointError(f"was written on a big-endian machine: {CONVERT}")
        blocks: dict[str, Stored] = {}
        records = _state(unpickle(source, blocks))
        keys = unpickle(source)
        places: Places = {}
        for key in keys if isinstance(keys, list) else []:
            count = int.from_bytes(stream.read(8), "little")
            if key not in blocks or count > path.stat().st_size:
                raise CheckpointError("is damaged: copy or download it again")
            length = count * _itemsize(blocks[key].dtype)
            places[key] = (stream.tell(), length)
            stream.seek(length, 1)
    return _tensors(path, records, places)


class _Bounded:
    """A stream of at most `budget` bytes, so that no pickle can make more objects than fit into memory."""

    def __init__(self, stream: Any, budget: int) -> None:
        self.stream, self.budget = stream, budget

    def read(self, size: int, /) -> bytes:
        return self._taken(self.stream.read(min(size, self.budget)))

    def readline(self) -> bytes:
        return self._taken(self.stream.readline(self.budget))

    def _taken(self, data: bytes) -> bytes:
        self.budget -= len(data)
        return data


def _text(opened: zipfile.ZipFile, name: str) -> str:
    with opened.open(name) as stream:
        return stream.read(MAX_PICKLE).decode("utf-8", "replace")


def _stored_at(path: Path, opened: zipfile.ZipFile, prefix: str) -> Places:
    """Find the bytes of each block. torch does not compress blocks: a compressed one is refused when it is used."""
    places: Places = {}
    with path.open("rb") as stream:
        for entry in opened.infolist():
            if entry.filename.startswith(prefix) and entry.compress_type == zipfile.ZIP_STORED:
                stream.seek(entry.header_offset + 26)
                name, extra = (int.from_bytes(stream.read(2), "little") for _ in range(2))
                places[entry.filename.removeprefix(prefix)] = (entry.header_offset + 30 + name + extra, entry.file_size)
    return places


def _state(content: Any) -> dict[str, Record]:
    """Return the state_dict of what was saved, which may be inside another dictionary."""
    if isinstance(content, Inert):
        raise CheckpointError(
            f"holds a whole object ({content.name}), which cannot be loaded without running code: save "
            "model.state_dict() alone, by safetensors.torch.save_file"
        )
    state: Any = content
    for key in _WRAPPED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            state = content[key]
            break
    if not isinstance(state, dict) or not state:
        raise CheckpointError("holds no state_dict: save model.state_dict() by safetensors.torch.save_file")
    for key, value in state.items():
        if not isinstance(value, Record) or not isinstance(key, str):
            what = value.name if isinstance(value, Inert) else type(value).__name__
            raise CheckpointError(
                f"holds no state_dict: {str(key)[:80]!r} is not a tensor ({what}); save model.state_dict() by "
                "safetensors.torch.save_file"
            )
    return state


def _script(content: Any, source: Callable[[str], str]) -> dict[str, Record]:
    """Take parameters and buffers out of TorchScript's modules, as their state_dict would name them."""
    found: dict[str, Record] = {}
    waiting, seen = [("", content, 0)], 0
    while waiting:
        prefix, module, depth = waiting.pop()
        seen += 1
        if not isinstance(module, Inert) or seen > MAX_ENTRIES:
            raise CheckpointError(f"is a TorchScript archive of something other than a model: {CONVERT}")
        if not isinstance(module.state, dict) or depth > MAX_DEPTH:
            raise CheckpointError(
                f"is a TorchScript archive whose class {module.name} restores itself by code of its own, which is "
                f"never run here: {CONVERT}"
            )
        kept = _kept(source(module.name), module.name)
        for name, value in module.state.items():
            if isinstance(value, Record) and (kept is None or name in kept) and name not in _NOT_WEIGHTS:
                found[f"{prefix}{name}"] = value
            elif isinstance(value, Inert) and value.name.startswith("__torch__."):
                waiting.append((f"{prefix}{name}.", value, depth + 1))
    return found


def _source(opened: zipfile.ZipFile, top: str, kind: str) -> str:
    """Return the text of a TorchScript class, never run: it lists which tensors are parameters and buffers."""
    name = f"{top}code/{kind.rpartition('.')[0].replace('.', '/')}.py"
    return _text(opened, name) if name in opened.namelist() else ""


def _kept(text: str, kind: str) -> set[str] | None:
    """Name a class's parameters and buffers; None where its text does not say."""
    at = text.find(f"class {kind.rpartition('.')[2]}(Module):")
    head = text[at : text.find("class ", at + 6)] if text.find("class ", at + 6) > 0 else text[at:]
    lists = re.findall(r"^  __(?:parameters|buffers)__ = \[([^\]\n]*)\]", head, re.MULTILINE) if at >= 0 else []
    return {name for one in lists for name in re.findall(r'"([^"]*)"', one)} if len(lists) == 2 else None


def _tensors(path: Path, records: Mapping[str, Record], places: Places) -> dict[str, Tensor]:
    made = {}
    for name, record in records.items():
        start, length = places.get(record.stored.key, (0, -1))
        size = _itemsize(record.dtype)
        end = (record.offset + _span(record)) * size
        if length < 0 or end > length or start + end > path.stat().st_size:
            raise CheckpointError(f"lacks the numbers of {name}, or has them compressed: copy or download it again")
        if _span(record) > MAX_SPREAD * (math.prod(record.shape) + 1):
            raise CheckpointError(f"has {name} in a much larger block of numbers: save it with .contiguous()")
        made[name] = Tensor(record.shape, record.dtype, partial(_read, path, record, start + record.offset * size))
    return made


def _span(record: Record) -> int:
    """Count the elements from the first to the last of a tensor in its block."""
    if 0 in record.shape:
        return 0
    return 1 + sum((size - 1) * step for size, step in zip(record.shape, record.stride, strict=True))


def _read(path: Path, record: Record, start: int) -> "torch.Tensor":
    import torch

    kind = getattr(torch, record.dtype)
    if 0 in record.shape:
        return torch.empty(record.shape, dtype=kind)
    with path.open("rb") as stream:
        stream.seek(start)
        data = bytearray(stream.read(_span(record) * kind.itemsize))
    return torch.frombuffer(data, dtype=kind).as_strided(record.shape, record.stride).contiguous()


def _itemsize(dtype: str) -> int:
    import torch

    return int(getattr(torch, dtype).itemsize)
