"""Shared objects lose what is never mapped, and nothing of what is."""

import io
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from layer.package.shared_objects import mapped_only, shrink

PACKAGES = ("PIL", "pillow.libs", "numpy", "numpy.libs", "tokenizers")
SITE = Path(str(find_spec("PIL").origin)).parents[1]  # type: ignore[union-attr]
OBJECTS = sorted(path for package in PACKAGES for path in (SITE / package).rglob("*.so*") if path.is_file())
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the installed wheels hold other kinds of objects")


def segments(data: bytes) -> list[tuple[object, ...]]:
    """Read, with pyelftools, what a loader reads of each segment, but for its place in the file."""
    elf = ELFFile(io.BytesIO(data))  # type: ignore[no-untyped-call]
    found: list[tuple[object, ...]] = []
    for segment in elf.iter_segments():  # type: ignore[no-untyped-call]
        header = segment.header
        if header.p_type == "PT_LOAD":
            assert (header.p_vaddr - header.p_offset) % header.p_align == 0
        kept = (header.p_type, header.p_flags, header.p_vaddr, header.p_filesz, header.p_memsz)
        # The first segment begins with the file's header, and the headers of segments themselves say where each is.
        places = range(elf.header.e_phoff, elf.header.e_phoff + elf.header.e_phnum * elf.header.e_phentsize)
        body = bytearray(segment.data())
        for place in (*range(elf.header.e_ehsize), *places):
            if header.p_offset <= place < header.p_offset + header.p_filesz:
                body[place - header.p_offset] = 0
        found.append((*kept, bytes(body)))
    return found


def test_every_segment_of_the_installed_objects_stays_as_it_is() -> None:
    saved = 0
    for path in OBJECTS:
        before = path.read_bytes()
        after = mapped_only(before)
        assert segments(after) == segments(before), path.name
        saved += len(before) - len(after)

    assert len(OBJECTS) > 20
    assert saved > 3_000_000  # symbols, for one


def test_a_shrunk_object_is_loaded(tmp_path: Path) -> None:
    [source] = (SITE / "tokenizers").glob("tokenizers*.so")
    (tmp_path / "tokenizers.so").write_bytes(mapped_only(source.read_bytes()))
    program = "import tokenizers; print(tokenizers.__file__, tokenizers.normalizers.Lowercase().normalize_str('ABC'))"

    run = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(tmp_path / "tokenizers.so"), "abc"]


@pytest.mark.parametrize("data", [b"", b"\x7fELF\x01\x01 of 32 bits", b"#!/bin/sh\n", b"INPUT(libtbb.so.12)"])
def test_what_is_no_shared_object_is_left_alone(data: bytes) -> None:
    assert mapped_only(data) == data


def test_a_cut_object_is_left_alone() -> None:
    data = OBJECTS[0].read_bytes()
    for length in (20, 64, 100, len(data) // 2):
        assert mapped_only(data[:length]) == data[:length]


def test_a_hard_link_to_somebody_s_file_is_replaced_and_the_file_stays(tmp_path: Path) -> None:
    [source] = (SITE / "tokenizers").glob("tokenizers*.so")
    theirs = tmp_path / "theirs.so"
    theirs.write_bytes(source.read_bytes())
    theirs.chmod(0o755)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "ours.so").hardlink_to(theirs)
    (tree / "linked.so").symlink_to(theirs)

    saved = shrink(tree)

    assert theirs.read_bytes() == source.read_bytes()
    assert saved == len(theirs.read_bytes()) - (tree / "ours.so").stat().st_size > 0
    assert (tree / "ours.so").stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in tree.iterdir()) == ["linked.so", "ours.so"]
