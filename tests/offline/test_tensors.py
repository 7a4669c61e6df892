"""Checkpoints are read for their tensors alone: equal to torch's own reading, and no code of theirs runs."""

import argparse
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from layer.errors import CheckpointError
from layer.weights.checkpoint import open_tensors

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n"


def state() -> dict[str, torch.Tensor]:
    """Tensors of every kind that a state_dict holds: views, tied, transposed, empty, half, integers, scalars."""
    block = torch.arange(12.0)
    return {
        **torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict(),
        "transposed": torch.arange(6.0).reshape(2, 3).t(),
        "view": block[3:7],
        "tied": block[3:7],
        "half": torch.randn(3).half(),
        "bfloat": torch.randn(3).bfloat16(),
        "float8": torch.ones(4).to(torch.float8_e4m3fn),
        "double": torch.randn(2, dtype=torch.float64),
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(2.5),
        "mask": torch.tensor([True, False]),
    }


def test_an_archive_of_torch_save_and_the_format_before_it_are_read_to_the_bit(tmp_path: Path) -> None:
    saved = state()
    extra = {"epoch": np.float64(3), "args": argparse.Namespace(lr=1), "optimizer": {0: {"step": torch.tensor(7.0)}}}
    old = {key: value for key, value in saved.items() if key != "float8"}  # the old format has no such numbers
    torch.save({**extra, "state_dict": saved}, tmp_path / "new.pt")
    torch.save(
        {"optimizer": {0: torch.ones(3)}, "state_dict": old}, tmp_path / "old.pt", _use_new_zipfile_serialization=False
    )
    torch.save(torch.nn.ParameterDict({"p": torch.ones(2)}).state_dict(), tmp_path / "parameter.pt")
    for name, expected in (("new.pt", saved), ("old.pt", old), ("parameter.pt", {"p": torch.ones(2)})):
        found = open_tensors(tmp_path / name)
        assert found.keys() == expected.keys()
        for key, tensor in expected.items():
            assert found[key].shape == tuple(tensor.shape)
            assert torch.equal(found[key].read().view(tensor.dtype), tensor), key


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("write", [torch.jit.script, lambda model: torch.jit.trace(model, torch.ones(1, 3))])
def test_torchscript_gives_its_parameters_and_buffers(
    tmp_path: Path, write: Callable[[torch.nn.Module], torch.nn.Module]
) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Sequential(torch.nn.BatchNorm1d(2))).eval()
    write(model).save(str(tmp_path / "script.pt"))  # type: ignore[operator]

    found = open_tensors(tmp_path / "script.pt")

    expected = model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key].read(), expected[key]) for key in expected)


class Restored(torch.nn.Module):
    """TorchScript's class makes itself anew when it is loaded, by writing a file."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.w, self.path, self.training = torch.zeros(4, dtype=torch.uint8), target, False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, str, bool]:
        return (self.w, self.path, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool]) -> None:
        self.path = state[1]
        self.training = state[2]
        self.w = torch.from_file(self.path, True, 4, dtype=torch.uint8)
        self.w.copy_(state[0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_torchscript_class_that_writes_a_file_is_refused_and_writes_none(tmp_path: Path) -> None:
    target = tmp_path / "written"
    torch.jit.script(Restored(str(target))).save(str(tmp_path / "evil.pt"))

    with pytest.raises(CheckpointError, match="restores itself by code of its own, which is never run"):
        open_tensors(tmp_path / "evil.pt")

    assert not target.exists()
    torch.jit.load(tmp_path / "evil.pt")  # which shows that the file does what it is refused for
    assert target.exists()


class Call:
    def __init__(self, what: object, *arguments: object) -> None:
        self.what, self.arguments = what, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.what, self.arguments


def torch_zip(path: Path, content: bytes, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", content)
        for name, data in entries.items():
            archive.writestr(f"x/{name.replace('__', '/')}", data)
    return path


def deflated(path: Path) -> Path:
    torch.save({"w": torch.zeros(1 << 20)}, path)
    stored = zipfile.ZipFile(path)
    with zipfile.ZipFile(path.with_suffix(".small"), "w", zipfile.ZIP_DEFLATED) as small:
        for name in stored.namelist():
            small.writestr(name, stored.read(name))
    return path.with_suffix(".small").rename(path)


def legacy(*parts: object) -> bytes:
    return b"".join(pickle.dumps(part, protocol=2) for part in parts)


MAGIC = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def saved(content: object) -> Callable[[Path], object]:
    return lambda path: torch.save(content, path)


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"), io.BytesIO())


HOSTILE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a call in a pickle": ("none of torch.save's", lambda p: written(p, pickle.dumps(Call(print, "ran")))),
    "a call in an archive": (
        "is not a tensor .__builtin__.print",
        lambda p: torch_zip(p, pickle.dumps({"w": Call(print, "ran")}, 2)),
    ),
    "a call as the content": (
        "holds a whole object .posix.system",
        lambda p: torch_zip(p, b"cposix\nsystem\nX\x04\x00\x00\x00true\x85R."),
    ),
    "a call in the old format": ("holds a whole object", lambda p: written(p, legacy(*MAGIC, Call(print, "ran"), []))),
    "a whole model": ("holds a whole object .torch.nn.modules.linear.Linear", saved(torch.nn.Linear(2, 2))),
    "a list": ("holds no state_dict", saved([1, 2])),
    "a number beside": ("'epoch' is not a tensor .int", saved({"w": torch.ones(1), "epoch": 3})),
    "nothing": ("holds no state_dict", saved({})),
    "numbers expanded": ("would unpack to 4,000,000,000 bytes", saved({"w": torch.ones(1).expand(10**9)})),
    "numbers spread": ("in a much larger block", saved({"w": torch.zeros(1 << 16)[:: 1 << 12]})),
    "numbers compressed": ("has them compressed", deflated),
    "a quantized tensor": ("unknown type", saved({"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)})),
    "a sparse tensor": ("is not a tensor", saved({"w": torch.ones(2).to_sparse()})),
    "no numbers": ("lacks the numbers", lambda p: torch_zip(p, zipfile.ZipFile(_one(p)).read("one/data.pkl"))),
    "two pickles": ("one data.pkl", lambda p: torch_zip(p, b"", **{"y__data.pkl": b""})),
    "a pickle bomb": ("over 33,554,432 bytes", lambda p: torch_zip(p, b"]" * (33 << 20))),
    "a damaged pickle": ("damaged pickle", lambda p: torch_zip(p, b"\x80\x02garbage")),
    "half an archive": ("damaged archive", lambda p: written(p, _one(p).read_bytes()[:-200])),
    "a zip of nothing": ("damaged archive", lambda p: written(p, b"PK\x03\x04" + bytes(100))),
    "a tar": ("tar archive", tar),
    "a page": ("begins with b'<html>", lambda p: written(p, "<html><body>Sign in")),
    "no bytes": ("begins with b''", lambda p: written(p, b"")),
    "a pointer": ("git lfs pull", lambda p: written(p, POINTER)),
}


def _one(path: Path) -> Path:
    torch.save({"w": torch.ones(4)}, path.with_name("one.pt"))
    return path.with_name("one.pt")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_or_damaged_file_is_one_line_and_nothing_of_it_runs(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    says, write = HOSTILE[case]
    write(tmp_path / "w.pt")

    with pytest.raises(CheckpointError, match=says) as told:
        open_tensors(tmp_path / "w.pt")

    assert str(tmp_path / "w.pt") in str(told.value)
    assert "\n" not in str(told.value)
    assert "ran" not in capsys.readouterr().out


def header(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a complete safetensors"),
        (b"\xff" * 100, "its header would have"),
        (struct.pack("<Q", 50 << 20) + b"{" * 100, "its header would have 52,428,800 bytes"),
        (header(b'{"w":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'), "not a complete safetensors"),
        (
            header(b'{"w":{"dtype":"F32","shape":[999999999],"data_offsets":[0,4]}}') + bytes(4),
            "not a complete safetensors",
        ),
        (header(b"[" * 100_000), "not a complete safetensors"),
        (header(b"{}"), "holds no tensors"),
        (POINTER.encode(), "git lfs pull"),
        (b"PK\x03\x04" + bytes(100), "its header would have|not a complete"),
    ],
)
def test_a_hostile_safetensors_file_is_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = written(tmp_path / "w.safetensors", content)

    with pytest.raises(CheckpointError, match=says) as told:
        open_tensors(path)
    assert "\n" not in str(told.value)


def test_safetensors_are_read_to_the_bit(tmp_path: Path) -> None:
    expected = {key: value.clone().contiguous() for key, value in state().items()}
    save_file(expected, tmp_path / "w.safetensors")

    found = open_tensors(tmp_path / "w.safetensors")

    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key].read().float(), expected[key].float()) for key in expected)
    assert {key: one.dtype for key, one in found.items()} == {k: str(v.dtype)[6:] for k, v in expected.items()}
