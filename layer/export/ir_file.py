"""The file of weights of an OpenVINO graph: in which order it has them, and how a second graph reads the same file."""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

LARGE = 65_536  # bytes: of a matrix; biases and scales are smaller
ALIGNED = 64  # bytes: of a cache line


def grouped_path(tower: Path) -> Path:
    """Return the second graph of a tower (.xml), which reads the tower's own .bin."""
    return tower.with_suffix(".grouped.xml")


def partition_constants(graph: Path) -> None:
    """Move the large constants of `graph` (.xml, with its .bin) before the small ones.

    Matrices are copied once, and their pages are released; biases and scales are read in place by each run. If these
    were between matrices, each run would bring pages of matrices back: Linux also maps pages around a requested one.
    """
    tree = ElementTree.parse(graph)  # noqa: S314 - OpenVINO has just written it
    found = list(_constants(tree.getroot()))
    places = sorted({_place(data) for data in found})
    places.sort(key=lambda place: place[1] < LARGE)  # a stable sort: otherwise they stay in the order of their use
    weights, aside = graph.with_suffix(".bin"), graph.with_suffix(".parting")
    moved = {}
    with weights.open("rb") as source, aside.open("wb") as target:
        for place in places:
            target.write(bytes(-target.tell() % ALIGNED))
            moved[place] = target.tell()
            source.seek(place[0])
            target.write(source.read(place[1]))
    aside.replace(weights)
    for data in found:
        data.attrib["offset"] = str(moved[_place(data)])
    tree.write(graph)


def share_weights(graph: Path, other: Path) -> None:
    """Let `graph` (.xml) read the .bin of `other` (.xml), and delete its own .bin.

    What the other graph does not have is appended to its .bin, which stays as it is otherwise.
    """
    own, weights = graph.with_suffix(".bin"), other.with_suffix(".bin")
    known_root = ElementTree.parse(other).getroot()  # noqa: S314 - OpenVINO has just written it
    tree = ElementTree.parse(graph)  # noqa: S314 - the same
    with own.open("rb") as source, weights.open("r+b") as target:
        places = sorted({_place(data) for data in _constants(known_root)})
        known = {sha256(_read(target, place)).digest(): place[0] for place in places}
        for data in _constants(tree.getroot()):
            content = _read(source, _place(data))
            digest = sha256(content).digest()
            if digest not in known:
                target.seek(0, os.SEEK_END)
                target.write(bytes(-target.tell() % ALIGNED))
                known[digest] = target.tell()
                target.write(content)
            data.attrib["offset"] = str(known[digest])
    tree.write(graph)
    own.unlink()


def _read(file: BinaryIO, place: tuple[int, int]) -> bytes:
    file.seek(place[0])
    return file.read(place[1])


def _constants(root: Element) -> Iterator[Element]:
    """Yield the elements that name a place in the file of weights."""
    return (data for data in root.iter("data") if "offset" in data.attrib)


def _place(data: Element) -> tuple[int, int]:
    """Return offset and size in bytes."""
    return int(data.attrib["offset"]), int(data.attrib["size"])
