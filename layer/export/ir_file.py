"""Order the weights of an OpenVINO graph: matrices, which are packed at load, before what each run reads in place."""

from pathlib import Path
from xml.etree import ElementTree

LARGE = 65_536  # bytes: of a matrix; biases and scales are smaller
ALIGNED = 64  # bytes: of a cache line


def partition_constants(graph: Path) -> None:
    """Move the large constants of `graph` (.xml, with its .bin) before the small ones.

    Matrices are copied once, and their pages are released; biases and scales are read in place by each run. If these
    were between matrices, each run would bring pages of matrices back: Linux also maps pages around a requested one.
    """
    tree = ElementTree.parse(graph)  # noqa: S314 - OpenVINO has just written it
    found = [data for data in tree.iter("data") if "offset" in data.attrib]
    places = sorted({(int(data.attrib["offset"]), int(data.attrib["size"])) for data in found})
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
        data.attrib["offset"] = str(moved[int(data.attrib["offset"]), int(data.attrib["size"])])
    tree.write(graph)
