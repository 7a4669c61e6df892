"""Unpickle what torch.save writes into plain records of tensors: nothing that a file names is imported or called."""

import pickle
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from layer.errors import CheckpointError

MAX_PICKLE = 32 << 20  # bytes; the pickle of a training checkpoint of 2 billion parameters has 2 MB
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
_DTYPES = (*_STORAGES.values(), "float8_e4m3fn", "float8_e5m2")


@dataclass(frozen=True)
class Stored:
    """A block of numbers: its name in the file, its type (torch's name of it) and how many it holds."""

    key: str
    dtype: str
    numel: int
    shift: int = 0


@dataclass(frozen=True)
class Record:
    """A tensor that has not been read: a view of a block, by offset, size and stride in elements."""

    stored: Stored
    dtype: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass
class Inert:
    """Stands for an object of an unknown class: it keeps the state and does nothing."""

    name: str
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


class Source(Protocol):
    """The stream that a pickle is read from. Nothing behind the pickle may be read."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes."""

    def readline(self) -> bytes:
        """Return the rest of a line."""


class Unpickler(pickle.Unpickler):
    """Makes records of tensors, dictionaries, lists and numbers; anything else becomes Inert."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.blocks: dict[str, Stored] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return this module's own stand-in for a global; nothing is imported."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _stand_in(f"{module}.{name}", _STORAGES[name])
        if module == "torch" and name in _DTYPES:
            return _stand_in(f"{module}.{name}", name)
        return _BUILDERS.get((module, name)) or _stand_in(f"{module}.{name}", None)

    def persistent_load(self, pid: Any) -> Any:
        """Return the block that torch names by `pid`, or the class of a module that was saved whole."""
        if isinstance(pid, tuple) and pid[:1] == ("module",) and len(pid) > 1:
            return pid[1]
        if not (isinstance(pid, tuple) and pid[:1] == ("storage",) and len(pid) >= 5):
            raise pickle.UnpicklingError(f"unknown reference {pid!r:.80}")
        dtype, numel, view = getattr(pid[1], "dtype", None), pid[4], pid[5] if len(pid) > 5 else None
        if dtype is None or type(numel) is not int or numel < 0:
            raise pickle.UnpicklingError(f"a storage of unknown type {pid[1]!r:.80}")
        found = Stored(str(pid[2]), dtype, numel, int(view[1]) if view else 0)
        return self.blocks.setdefault(found.key, found) if not view else found


def unpickle(source: Source, blocks: dict[str, Stored] | None = None) -> Any:
    """Read one pickle, and into `blocks` which blocks of numbers it names.

    Raises CheckpointError where it is damaged or uses what torch.save never writes.
    """
    try:
        unpickler = Unpickler(source)
        content = unpickler.load()
        if blocks is not None:
            blocks.update(unpickler.blocks)
        return content
    except CheckpointError:
        raise
    except Exception as error:  # damaged pickles end in any of a dozen
        raise CheckpointError(f"has a damaged pickle ({type(error).__name__}: {str(error)[:120]})") from error


def _stand_in(name: str, dtype: str | None) -> type:
    """Make a class that NEWOBJ and REDUCE may call: it takes anything and keeps only its name and state."""

    def make(cls: type, *args: Any, **kwargs: Any) -> Inert:
        return _InertObject(name)

    return type("StandIn", (), {"__new__": make, "dtype": dtype, "stands_for": name})


class _InertObject(Inert):
    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def append(self, item: Any) -> None:
        """Take an item of an unknown list."""

    def extend(self, items: Any) -> None:
        """Take items of an unknown list."""

    def __hash__(self) -> int:
        return id(self)


def _tensor(stored: Any, offset: int, shape: Sequence[int], stride: Sequence[int], *_: Any) -> Record:
    return _record(stored, None, offset, shape, stride)


def _tensor_v3(
    stored: Any, offset: int, shape: Sequence[int], stride: Sequence[int], _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> Record:
    if getattr(dtype, "dtype", None) is None:
        raise CheckpointError(f"has a tensor of an unknown type ({getattr(dtype, 'stands_for', dtype)!r:.80})")
    return _record(stored, dtype.dtype, offset, shape, stride)


def _record(stored: Any, dtype: str | None, offset: int, shape: Sequence[int], stride: Sequence[int]) -> Record:
    layout = [offset, *shape, *stride]
    if not isinstance(stored, Stored) or any(type(n) is not int or n < 0 for n in layout) or len(shape) != len(stride):
        raise CheckpointError("has a tensor that is not valid")
    return Record(stored, dtype or stored.dtype, offset + stored.shift, tuple(shape), tuple(stride))


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _of_type(_builder: Any, _kind: Any, arguments: Any, _state: Any) -> Any:
    return arguments[0] if isinstance(arguments, tuple) and arguments else None


_BUILDERS: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _of_type,
    ("torch", "Size"): tuple,
}
